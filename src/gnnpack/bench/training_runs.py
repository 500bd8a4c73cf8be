"""Whole training runs, each in a process of its own: molecules a second, and memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from gnnpack.bench.beside_pyg import PyG
from gnnpack.bench.data import BenchData
from gnnpack.bench.epoch_updates import epoch_updates, training_plan
from gnnpack.bench.runners import SKIPPED, Measured, Runner, make_runners
from gnnpack.bench.section import PYG, Row, Section
from gnnpack.bench.settings import OverviewSettings
from gnnpack.bench.timing import in_turns, spread

MOST_RUNS = 3


def measure_runs(
    data: BenchData, pyg: PyG | None, batch_size: int, settings: OverviewSettings
) -> Section | None:
    """Train the first updates of an epoch in each way, in turns; None: too few to tell a rate.

    ValueError when a run fails or trains on other molecules than the others.
    """
    updates = epoch_updates(training_plan(data, settings.seed), batch_size, settings.seed)
    if len(updates) < 2:
        return None
    runners = make_runners(data, pyg is not None, updates, batch_size, settings)
    found: dict[str, list[Measured]] = {name: [] for name in runners}
    with tempfile.TemporaryDirectory() as place:
        for turn, name in in_turns(list(runners), min(settings.repeats, MOST_RUNS)):
            found[name].append(runners[name].run(Path(place) / f"{name}_{turn}"))
    rows = [_row(name, runners[name], found[name], found.get(PYG)) for name in runners]
    return Section(
        f"train_run_{batch_size}",
        f"Whole training runs, batch {batch_size}",
        "Each in a process of its own, on the same updates of the first epoch. gnnpack and plain "
        "torch: `gnnpack train`, with Lightning, loader and loggers, rates as the run itself tells "
        f"them: waiting for input counts, the first {SKIPPED} updates do not. PyG: a bare loop "
        "over its DataLoader with edges given. Time: a thousand molecules. Memory: resident at "
        f"its highest, less that after imports.{memory_sentence(rows)}",
        rows,
        ("peak_MB", "input_wait_percent"),
        ("p10-p90", "input_wait_percent"),
        baseline=PYG if PYG in found else None,
    )


def memory_sentence(rows: list[Row]) -> str:
    """How many times the memory of ours PyG's run takes; empty where one is not known."""
    peaks = {row.name: row.facts["peak_MB"] for row in rows}
    ours, theirs = peaks.get("packed"), peaks.get(PYG)
    if not ours or not theirs:
        return ""
    return f" PyG's run rises {theirs / ours:.1f} times as high as gnnpack's."


def _row(name: str, runner: Runner, found: list[Measured], pyg: list[Measured] | None) -> Row:
    rates = np.array([one.rate for one in found])
    ratios = None if pyg is None else rates / np.array([one.rate for one in pyg])
    peaks = [one.memory.peak - one.memory.after_imports for one in found if one.memory is not None]
    waits = [one.wait_fraction for one in found if one.wait_fraction is not None]
    return Row(
        name=name,
        label=runner.label,
        repeats=len(found),
        calls_per_repeat=1,
        seconds=spread(1000.0 / rates),
        molecules_per_second=spread(rates),
        times_baseline=None if ratios is None else spread(ratios),
        facts={
            "updates": runner.updates,
            "peak_MB": max(peaks) / 1e6 if peaks else None,
            "input_wait_percent": 100 * float(np.median(waits)) if waits else None,
            **runner.facts,
        },
    )
