"""What `gnnpack plan` writes into its folder: plan.json, figures, plan.html."""

from __future__ import annotations

from pathlib import Path
from typing import Collection, Sequence

from gnnpack.commands.plan_report import HEADINGS, as_dict, cells
from gnnpack.commands.plan_sizes import MoleculeSizes
from gnnpack.packing import Packer, PackShape, packer_name
from gnnpack.packing.advice import HISTOGRAM_PACKERS, Advice
from gnnpack.packing.lpfhp import lpfhp
from gnnpack.packing.one_per_pack import one_per_pack
from gnnpack.packing.optimal import optimal
from gnnpack.packing.patterns import num_packs

FORMAT_VERSION = 1


def write_json_report(
    folder: Path,
    molecules: MoleculeSizes,
    advice: Advice,
    said: Sequence[str],
    argv: Sequence[str],
) -> None:
    """plan.json: every row, what was asked and said."""
    import gnnpack
    from gnnpack.tracking import write_json

    report = {
        "format_version": FORMAT_VERSION,
        "gnnpack": gnnpack.__version__,
        "argv": list(argv),
        "data": molecules.name,
        "source": molecules.source,
        "sizes": molecules.sizes,
        "counts": molecules.counts,
        **as_dict(advice, molecules.published, said),
    }
    write_json(folder / "plan.json", report)


def write_figures(
    folder: Path,
    molecules: MoleculeSizes,
    advice: Advice,
    said: Sequence[str],
    asked: Collection[int],
) -> None:
    """efficiency.png, sizes.png, fill.png, and plan.html with all three and the table."""
    from gnnpack.tracking.plan_figures import empty_slots, molecule_sizes, packing_efficiency
    from gnnpack.tracking.plan_page import write_page

    best = advice.recommended
    marked = {size: "published" if size in molecules.published else "asked" for size in asked}
    marked[best.num_atoms] = "recommended"
    # One molecule a pack leaves ever more empty; its line would flatten all others.
    others = [p for p in HISTOGRAM_PACKERS if p not in (optimal, lpfhp, one_per_pack)]
    packing_efficiency(
        [row.num_atoms for row in advice.rows],
        {
            packer_name(packer): _efficiencies(packer, molecules, advice)
            for packer in (optimal, lpfhp, *others)
        },
        [row.possible_efficiency for row in advice.rows],
        folder / "efficiency.png",
        title=f"{molecules.name}: how full packs are",
        marked=marked,
    )
    molecule_sizes(
        molecules.sizes,
        molecules.counts,
        folder / "sizes.png",
        title=f"{molecules.name}: {advice.num_molecules:,} molecules",
    )
    named = {packer_name(packer): packer for packer in HISTOGRAM_PACKERS}
    compared = [named[advice.packer], lpfhp if advice.packer != "lpfhp" else optimal]
    empty_slots(
        {
            packer_name(packer): _empty_slots(packer, molecules, best.num_atoms)
            for packer in compared
        },
        folder / "fill.png",
        title=f"{molecules.name}: empty slots in packs of {best.num_atoms} atoms",
    )
    write_page(
        folder / "plan.html",
        title=f"Pack sizes for {molecules.name}",
        sentences=[molecules.line + ".", *said],
        figures={
            "How full packs are, against their size": folder / "efficiency.png",
            "How large molecules are": folder / "sizes.png",
            "How many slots of a pack stay empty": folder / "fill.png",
        },
        headings=HEADINGS,
        rows=[cells(row, advice, molecules.published) for row in advice.rows],
        marked=advice.rows.index(best),
    )


def _efficiencies(packer: Packer, molecules: MoleculeSizes, advice: Advice) -> list[float]:
    if packer_name(packer) == advice.packer:
        return [row.atom_efficiency for row in advice.rows]
    patterns_of = HISTOGRAM_PACKERS[packer]
    shares = []
    for row in advice.rows:
        patterns = patterns_of(molecules.sizes, molecules.counts, PackShape(row.num_atoms))
        shares.append(advice.total_atoms / (num_packs(patterns) * row.num_atoms))
    return shares


def _empty_slots(
    packer: Packer, molecules: MoleculeSizes, num_atoms: int
) -> tuple[list[int], list[int]]:
    patterns = HISTOGRAM_PACKERS[packer](molecules.sizes, molecules.counts, PackShape(num_atoms))
    empty = [num_atoms - sum(pattern.sizes) for pattern in patterns]
    return empty, [pattern.packs for pattern in patterns]
