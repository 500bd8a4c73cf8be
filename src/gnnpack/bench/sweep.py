"""Every pack size from the largest molecule up: how far each packer is from the proven bound."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Callable, Mapping, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnpack.bench.section import Row, Section
from gnnpack.bench.timing import spread
from gnnpack.packing import PackShape, next_fit
from gnnpack.packing.checks import histogram
from gnnpack.packing.lpfhp import lpfhp_patterns
from gnnpack.packing.optimal import fewest_packs, optimal_patterns
from gnnpack.packing.patterns import num_packs
from gnnpack.packing.spfhp import spfhp_patterns

NOTE = (
    "Packs of every size from the largest molecule to {sweep_to} atoms, from the histogram of "
    "sizes alone: no molecule is assigned. Gap: packs above the proven lower bound of optimal. "
    "Each size is timed once, compiled and warm; time is the median over the sizes. next_fit "
    "packs the first {sample:,} molecules, not the histogram."
)
COLUMNS = ("sizes", "worst_gap", "at_bound", "mean_time", "worst_time")
# Next fit needs molecules in an order, and its fill hardly depends on how many there are.
SAMPLE = 20_000


class Curve(NamedTuple):
    """One packer on one distribution.

    count: how many packs of a shape it needs. sizes, counts: (S,) int64, what it packs.
    """

    name: str
    count: Callable[[PackShape], int]
    sizes: NDArray[np.int64]
    counts: NDArray[np.int64]


# The packers whose number of packs follows from the histogram.
BY_HISTOGRAM: dict[str, Callable[..., Any]] = {
    "optimal": optimal_patterns,
    "lpfhp": lpfhp_patterns,
    "spfhp": spfhp_patterns,
}


def measure_sweep(num_atoms: Mapping[str, NDArray[np.int64]], sweep_to: int) -> Section:
    """Sweep each distribution's sizes; `num_atoms` are its molecules (M,) in a random order."""
    rows = [
        _row(distribution, curve, int(atoms.max()), sweep_to)
        for distribution, atoms in num_atoms.items()
        for curve in curves(atoms)
    ]
    note = NOTE.format(sweep_to=sweep_to, sample=SAMPLE)
    return Section("sweep", "Every pack size", note, rows, COLUMNS, ("p10-p90",))


def curves(num_atoms: NDArray[np.int64]) -> list[Curve]:
    """The packers to sweep over molecules of these sizes (M,)."""
    sizes, counts = histogram(num_atoms)
    found = [
        Curve(name, partial(_count, patterns, sizes, counts), sizes, counts)
        for name, patterns in BY_HISTOGRAM.items()
    ]
    sample = num_atoms[:SAMPLE]
    return [*found, Curve("next_fit", partial(_count_next_fit, sample), *histogram(sample))]


def _row(distribution: str, curve: Curve, largest: int, sweep_to: int) -> Row:
    shapes = [PackShape(size) for size in range(largest, max(largest, sweep_to) + 1)]
    for shape in shapes:
        # Another size may need another kernel.
        curve.count(shape)
    packs, seconds = [], []
    for shape in shapes:
        start = time.perf_counter()
        packs.append(curve.count(shape))
        seconds.append(time.perf_counter() - start)
    bounds = [fewest_packs(curve.sizes, curve.counts, shape)[1][0] for shape in shapes]
    gaps = np.array(packs) - np.array(bounds)
    assert gaps.min() >= 0, "a plan with fewer packs than are needed"
    return Row(
        name=f"{distribution} {curve.name}",
        label=f"{distribution} {curve.name}",
        repeats=1,
        calls_per_repeat=1,
        seconds=spread(seconds),
        molecules_per_second=None,
        times_baseline=None,
        facts={
            "distribution": distribution,
            "packer": curve.name,
            "molecules": int(curve.counts.sum()),
            "atoms": int(curve.sizes @ curve.counts),
            "unit": int(np.gcd.reduce(curve.sizes)),
            "first_size": largest,
            "sizes": len(shapes),
            "worst_gap": int(gaps.max()),
            "at_bound": int((gaps == 0).sum()),
            "mean_time": sum(seconds) / len(seconds),
            "worst_time": max(seconds),
            # Of the sizes first_size, first_size + 1, ...
            "packs": packs,
            "bounds": bounds,
        },
    )


def _count(
    patterns_of: Callable[..., Any],
    sizes: NDArray[np.int64],
    counts: NDArray[np.int64],
    shape: PackShape,
) -> int:
    return num_packs(patterns_of(sizes, counts, shape))


def _count_next_fit(num_atoms: NDArray[np.int64], shape: PackShape) -> int:
    return next_fit(num_atoms, shape).num_packs
