"""The figures of packing that follow from sizes alone, as tables of a report."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Callable, Sequence

from gnnpack.bench.packing_facts import WAYS, curve_facts, point_facts, size_facts, slot_facts
from gnnpack.bench.packing_published import LPFHP_POINTS, SOURCE
from gnnpack.bench.section import Row, Section
from gnnpack.bench.timing import spread
from gnnpack.datasets.size_counts import TITLES

POINT_COLUMNS = (
    *("published_packs", "lpfhp_packs", "lpfhp_percent"),
    *("optimal_packs", "optimal_percent", "bound"),
)
CURVE_COLUMNS = (
    *("pack_sizes", "lpfhp_best_size", "lpfhp_best_percent"),
    *("optimal_best_size", "optimal_best_percent", "largest_gain_percent", "at_bound"),
)


def molecule_sizes(distributions: Sequence[str]) -> Section:
    """How many molecules have each number of atoms."""
    rows = [timed_row(name, TITLES[name], partial(size_facts, name)) for name in distributions]
    return Section(
        "molecules",
        "Atoms in a molecule",
        "Counts come with the package: QM9's counted in qm9pack, HydroNet's published with the "
        "code of arXiv 2211.13853. Every histogram stands in the JSON.",
        rows,
        ("molecules", "atoms", "smallest", "mean_atoms", "largest", "unit"),
        ("p10-p90",),
    )


def published_points(distributions: Sequence[str]) -> Section:
    """LPFHP at the published pack sizes, beside the published packs and the fewest possible."""
    rows = [
        timed_row(
            f"{name} {point.num_atoms}",
            f"{TITLES[name]}, {point.num_atoms}: {point.note}",
            partial(point_facts, name, point),
        )
        for name in distributions
        for point in LPFHP_POINTS[name]
    ]
    return Section(
        "published",
        "Published packs of LPFHP, reproduced",
        f"Packs published in {SOURCE}; ours of the same counts; the fewest packs that optimal "
        "finds, and the bound that proves how few are possible.",
        rows,
        POINT_COLUMNS,
        ("p10-p90", "published_packs", "bound"),
    )


def efficiency_curves(distributions: Sequence[str], sweep_to: int) -> Section:
    """Packs of every size from the largest molecule to `sweep_to` atoms."""
    rows = [
        timed_row(name, TITLES[name], partial(curve_facts, name, sweep_to))
        for name in distributions
    ]
    return Section(
        "curves",
        "Filled atom slots against pack size",
        f"Every pack size from the largest molecule to {sweep_to} atoms, from the counts alone. "
        "Percent of atom slots filled; gain: of optimal over LPFHP at one size; at bound: sizes at "
        "which optimal's packs are proven the fewest. All packs and bounds stand in the JSON. "
        "HydroNet's sizes are multiples of 3: other packs waste what is left over.",
        rows,
        CURVE_COLUMNS,
        ("p10-p90", "pack_sizes", "at_bound"),
    )


def padding_and_packing(distributions: Sequence[str]) -> Section:
    """Atom slots of an epoch: one molecule a pack, LPFHP as in the paper, and recommended."""
    rows = []
    for name in distributions:
        for way, count in WAYS.items():
            rows.append(
                timed_row(
                    f"{name} {way}",
                    f"{TITLES[name]}, {way}",
                    partial(slot_facts, name, count),
                )
            )
    return Section(
        "slots",
        "Padding against packing: atom slots of an epoch",
        "Padding: every molecule in slots for the largest. LPFHP: packs of the size the paper's "
        "configs use. Optimal: packs of the size that gnnpack plan recommends.",
        rows,
        ("num_atoms", "packs", "slots", "filler_slots", "filler_percent", "slots_per_atom"),
        ("p10-p90", "slots"),
    )


def timed_row(name: str, label: str, facts: Callable[[], dict[str, Any]]) -> Row:
    """A row of facts and the seconds it took to find them, once."""
    start = time.perf_counter()
    found = facts()
    seconds = time.perf_counter() - start
    return Row(name, label, 1, 1, spread([seconds]), None, None, found)
