"""`gnnpack data describe dataset=qm9 [SETTING=VALUE ...] [--json] [--no-figures]`."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnnpack.commands.data_config import compose_config, split_flags
from gnnpack.commands.errors import errors_for_people

if TYPE_CHECKING:
    from gnnpack.commands.data_statistics import Description, Spread

USAGE = """Say what a data set holds, and which pack size suits it.

usage: gnnpack data describe dataset=NAME [SETTING=VALUE ...] [--json] [--no-figures]

SETTING: any key of the main config, such as dataset.path, cutoff, data_dir.
Figures are drawn into outputs/data/NAME/. --json prints plain values in place of the table."""
FLAGS = ("-h", "--help", "--json", "--no-figures")
OUT = Path("outputs") / "data"


def main() -> None:
    """Print the table (or JSON) and draw the figures."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    flags, overrides = split_flags(sys.argv[1:], FLAGS)
    if flags & {"-h", "--help"}:
        print(USAGE)
        return
    with errors_for_people("gnnpack data describe"):
        # Imported here: the usage need not wait for torch.
        from gnnpack.commands.data_statistics import describe

        described = describe(compose_config(overrides))
        if "--json" in flags:
            print(json.dumps(as_dict(described), indent=2))
        else:
            print_description(described)
        if "--no-figures" not in flags:
            folder = draw(described, OUT / described.dataset.store_name)
            if "--json" not in flags:
                print(f"figures      {folder}")


def print_description(described: Description) -> None:
    """Every line of the table: a word, and what there is to say."""
    for word, text in lines(described):
        print(f"{word:<12} {text}")


def lines(described: Description) -> list[tuple[str, str]]:
    """The table, two columns; a word left out belongs to the one before."""
    store, sizes = described.store, described.sizes
    found = [
        ("molecules", f"{store.num_molecules:,}, from {store.source_label}"),
        ("store", store.path),
        (
            "atoms",
            f"{store.total_atoms:,}; a molecule has {sizes.least:.0f} to {sizes.largest:.0f}, "
            f"{sizes.mean:.2f} on average",
        ),
        ("elements", _element_words(described)),
        (
            "neighbours",
            f"{_mean_neighbours(described):.2f} an atom within {described.cutoff:g} Å; at most "
            f"{described.most_pairs:,} pairs in a molecule",
        ),
    ]
    for name, row in described.targets.items():
        found.append((name, f"{row.unit}, {row.readout}: {_words(row.total)}"))
        if row.readout == "sum":
            found.append(("", f"an atom: {_words(row.share)}"))
    found += _reference_lines(described)
    if described.force_size is not None:
        size = described.force_size
        found.append(
            ("forces", f"rms {size.deviation:.4g} eV/Å an atom, largest {size.largest:.4g}")
        )
    if described.data is not None:
        parts = described.data.split._asdict().items()
        found.append(("split", ", ".join(f"{part} {len(rows):,}" for part, rows in parts)))
    best = described.advice.recommended
    found.append(
        (
            "suggested",
            f"packer=optimal shape.num_atoms={best.num_atoms}: {best.packs:,} packs, "
            f"{100 * best.atom_efficiency:.2f} % filled (gnnpack plan compares others)",
        )
    )
    return found


def as_dict(described: Description) -> dict[str, Any]:
    """Plain values for JSON."""
    best = described.advice.recommended
    rest = described.rest
    data = described.data
    return {
        "dataset": described.store.manifest.dataset,
        "source": described.store.source_label,
        "store": described.store.path,
        "fingerprint": described.store.fingerprint,
        "num_molecules": described.store.num_molecules,
        "num_atoms": described.store.total_atoms,
        "atoms_in_a_molecule": described.sizes._asdict(),
        "elements": {
            symbol: {"atoms": atoms, "molecules": molecules}
            for symbol, (atoms, molecules) in described.elements.items()
        },
        "cutoff": described.cutoff,
        "neighbours_of_an_atom": _mean_neighbours(described),
        "most_pairs_in_a_molecule": described.most_pairs,
        "targets": {
            name: {
                "unit": row.unit,
                "readout": row.readout,
                "total": row.total._asdict(),
                "an_atom" if row.readout == "sum" else "a_molecule": row.share._asdict(),
            }
            for name, row in described.targets.items()
        },
        "target": described.dataset.target,
        "references": described.dataset.references,
        "after_references": None if rest is None else _spread(rest)._asdict(),
        "references_unavailable": described.why or None,
        "undetermined_elements": described.ambiguous,
        "determined_sums": described.sums,
        "forces": None if described.force_size is None else described.force_size._asdict(),
        "split": None
        if data is None
        else {part: len(rows) for part, rows in data.split._asdict().items()},
        "suggested": {"packer": described.advice.packer, **best._asdict()},
    }


def draw(described: Description, folder: Path) -> Path:
    """sizes.png, elements.png, neighbours.png, and energies.png of the chosen target."""
    from gnnpack.packing.checks import histogram
    from gnnpack.tracking.data_figures import bars, value_histogram
    from gnnpack.tracking.plan_figures import molecule_sizes

    name = described.dataset.store_name
    number = f"{described.store.num_molecules:,} molecules"
    molecule_sizes(
        *histogram(described.store.num_atoms), folder / "sizes.png", title=f"{name}: {number}"
    )
    bars(
        {symbol: atoms for symbol, (atoms, _) in described.elements.items()},
        folder / "elements.png",
        title=f"{name}: elements",
        axis="atoms",
    )
    value_histogram(
        described.neighbours,
        folder / "neighbours.png",
        title=f"{name}: neighbours within {described.cutoff:g} Å",
        axis="neighbours of an atom, mean of its molecule",
    )
    if described.rest is not None and described.data is not None:
        data = described.data
        what = "an atom" if data.readout == "sum" else "a molecule"
        value_histogram(
            described.rest,
            folder / "energies.png",
            title=f"{name}: {data.target}, references {described.dataset.references}",
            axis=f"{data.target} ({data.unit}), {what}",
        )
    return folder


def _reference_lines(described: Description) -> list[tuple[str, str]]:
    name = described.dataset.target
    if described.rest is None:
        return [("references", described.why)]
    spread = _spread(described.rest)
    what = "an atom" if described.targets[name].readout == "sum" else "a molecule"
    found = [
        ("references", f"{described.dataset.references}; {name} then {what}: {_words(spread)}")
    ]
    if described.ambiguous and described.targets[name].readout == "sum":
        one = "is" if len(described.sums) == 1 else "are"
        found.append(
            (
                "",
                f"compositions do not tell {', '.join(described.ambiguous)} apart: only "
                f"{'; '.join(described.sums)} {one} determined",
            )
        )
    return found


def _element_words(described: Description) -> str:
    total = described.store.total_atoms
    return ", ".join(
        f"{symbol} {100 * atoms / total:.3g} %" for symbol, (atoms, _) in described.elements.items()
    )


def _mean_neighbours(described: Description) -> float:
    pairs = described.neighbours @ described.store.num_atoms
    return float(pairs / described.store.total_atoms)


def _words(spread: Spread) -> str:
    return (
        f"{spread.least:,.4f} to {spread.largest:,.4f}, mean {spread.mean:,.4f}, "
        f"deviation {spread.deviation:,.4f}"
    )


def _spread(values: Any) -> Spread:
    from gnnpack.commands.data_statistics import Spread

    return Spread.of(values)
