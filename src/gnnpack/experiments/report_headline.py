"""What a report says first: how many runs, the best, the fastest."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Sequence

from gnnpack.experiments.report_accuracy import errors_of
from gnnpack.experiments.report_groups import Group, group_runs
from gnnpack.experiments.report_numbers import Spread, several, shown
from gnnpack.experiments.report_overview import state_counts
from gnnpack.experiments.report_speed import rate_of

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts

# More data sets or targets are in the table.
MOST_TASKS = 2


class Tile(NamedTuple):
    """One number to begin with."""

    what: str
    number: str
    unit: str
    words: str


def headline(runs: Sequence[RunFacts]) -> list[Tile]:
    """Runs and their states; the least test error of each task; the highest rate."""
    groups = group_runs(runs)
    measured = [group for group in groups if group.measured]
    found = [Tile("runs", f"{len(runs):,}", "", _states(runs))]
    for task in sorted({group.task for group in measured})[:MOST_TASKS]:
        found += _best([group for group in measured if group.task == task])
    return [*found, *_fastest(measured)]


def _states(runs: Sequence[RunFacts]) -> str:
    counts = state_counts(runs)
    if set(counts) == {"done"}:
        return "all done" if len(runs) > 1 else "done"
    return ", ".join(f"{number:,} {state}" for state, number in counts.items())


def _best(groups: Sequence[Group]) -> list[Tile]:
    known: list[tuple[float, Spread, str, Group]] = []
    for group in groups:
        error, unit = errors_of(group)
        if error is not None:
            known.append((error.mean, error, unit, group))
    if not known:
        return []
    _, error, unit, best = min(known, key=lambda one: one[0])
    baseline = errors_of(best, "baseline_mae")[0]
    about = [best.label] if len(groups) > 1 else []
    about.append(several(error.n, "run"))
    if baseline:
        about.append(f"the training mean errs by {shown(baseline.mean)}")
    number = shown(error.mean, 3)
    if error.deviation is not None:
        number += f" ± {shown(error.deviation, 2)}"
    what = " ".join(
        ["best test MAE" if len(groups) > 1 else "test MAE", *filter(None, best.task[:2])]
    )
    return [Tile(what, number, unit, "; ".join(about))]


def _fastest(groups: Sequence[Group]) -> list[Tile]:
    known = [(rate.mean, group) for group in groups for rate in [rate_of(group)] if rate]
    if not known:
        return []
    # An emulator's speed counts only where there is no other.
    real = [one for one in known if not _is_emulated(one[1])]
    mean, group = max(real or known, key=lambda one: one[0])
    about = [group.label] if len(known) > 1 else []
    about += ["emulated: no hardware's speed"] if _is_emulated(group) else []
    what = "fastest training" if len(known) > 1 else "training"
    return [Tile(what, f"{mean:,.0f}", "molecules/s", "; ".join(about))]


def _is_emulated(group: Group) -> bool:
    return any(run.summary.get("emulated") for run in group.measured)
