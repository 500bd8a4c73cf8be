"""Molecules and atoms a second, and where the time of a step goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

from gnnpack.experiments import report_figures as draw
from gnnpack.experiments.machines import machines_of
from gnnpack.experiments.report_columns import measured_columns
from gnnpack.experiments.report_groups import Group, drawn, group_runs, several_of
from gnnpack.experiments.report_numbers import (
    NOT_MEASURED,
    Spread,
    count,
    several,
    shown,
)
from gnnpack.experiments.report_section import Section, Table

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts

RATE = "molecules_per_second"
SECONDS = "measured_seconds"
# As long as a window is; a rate of less is one of single steps.
LEAST_SECONDS = 1.0
MOST_NAMED = 8


def rate_of(group: Group) -> Spread | None:
    """Molecules/s over the group's runs: the median of a run's windows, else its whole rate."""
    return group.spread(f"{RATE}_median") or group.spread(f"train_{RATE}")


def throughput(runs: Sequence[RunFacts]) -> Section | None:
    """Rates of every group: spread over a run's windows and over seeds."""
    groups = [group for group in group_runs(runs) if rate_of(group)]
    if not groups:
        return None
    if len(groups) > draw.LIMIT:
        groups = sorted(groups, key=_slowness)
    whole = [group for group in groups if group.spread(f"{RATE}_median") is None]
    sentences = [
        "Real molecules and atoms of training, filler not counted. The median is over windows of "
        "a run after its warm-up, 10 - 90 % the windows' range; both are means over the runs of a "
        "group, least and most its slowest and fastest run. The floor is the time the device "
        "needs for the matrix products alone, at the best rate it was measured to have.",
    ]
    if whole:
        sentences.append(
            f"{several(len(whole), 'group')} without windows: there the rate is that of all "
            "training, warm-up included."
        )
    sentences += [*_short(groups), *_caution(groups)]
    headings = [
        "group",
        "runs",
        "molecules/s",
        "10 - 90 %",
        "least",
        "most",
        "atoms/s",
        "of floor (%)",
    ]
    headings, rows, absent = measured_columns(headings, [_row(group) for group in groups])
    table = Table(headings, rows, folders=[group.folders for group in groups])
    figure, said = _figure(groups)
    sentences += [*said, *absent]
    return Section("Throughput", sentences, table, figure, name="throughput")


def _row(group: Group) -> list[str]:
    rate = rate_of(group)
    assert rate is not None
    return [
        group.label,
        f"{rate.n:,}",
        count(rate.mean),
        _range(group),
        count(rate.least),
        count(rate.most),
        count(group.mean("atoms_per_second_median")),
        shown(group.mean("percent_of_floor"), 3),
    ]


def _range(group: Group) -> str:
    """Over the windows of its runs; of one window there is none."""
    low, high = group.mean(f"{RATE}_p10"), group.mean(f"{RATE}_p90")
    if low is None or high is None:
        return NOT_MEASURED
    windows = group.numbers("num_windows")
    return "one window" if windows and max(windows) == 1 else f"{count(low)} - {count(high)}"


def _short(groups: Sequence[Group]) -> list[str]:
    """Which groups have rates of a moment."""
    short = [
        (group.label, min(group.numbers(SECONDS)))
        for group in groups
        if min(group.numbers(SECONDS), default=LEAST_SECONDS) < LEAST_SECONDS
    ]
    if not short:
        return []
    named = [f"{label} ({shown(seconds, 2)} s)" for label, seconds in short[:MOST_NAMED]]
    others = [f"{len(short) - MOST_NAMED:,} more"] if len(short) > MOST_NAMED else []
    return [
        f"Warning: {several(len(short), 'group')} measured less than {LEAST_SECONDS:.0f} s of "
        f"training after the warm-up: {'; '.join([*named, *others])}. Such a rate tells of a few "
        "steps; train longer to compare it."
    ]


def _caution(groups: Sequence[Group]) -> list[str]:
    sentences = []
    if any(run.summary.get("emulated") for group in groups for run in group.measured):
        sentences.append(
            "Warning: some of these runs were emulated; their speed is not that of the hardware "
            "they stand for."
        )
    machines = {one for group in groups for run in group.measured for one in machines_of(run)}
    if len(machines) > 1:
        sentences.append(
            "Warning: these runs are of different machines "
            f"({'; '.join(sorted(machines))}), so rates of groups may differ for that."
        )
    mixed = several_of(groups, lambda run: [str(record.get("git")) for record in run.records])
    if mixed:
        sentences.append(
            f"Warning: within {several(len(mixed), 'group')} the runs, or the parts of a resumed "
            "run, are of different states of the code."
        )
    return sentences


def _figure(groups: Sequence[Group]) -> tuple[dict[str, Any] | None, list[str]]:
    chosen, said = drawn(groups, _slowness, draw.LIMIT, ("highest rate", "lowest"))
    if sum(len(group.measured) for group in chosen) < 2:
        return None, []
    rates = [rate for rate in map(rate_of, chosen) if rate is not None]
    lows = [group.mean(f"{RATE}_p10") for group in chosen]
    highs = [group.mean(f"{RATE}_p90") for group in chosen]
    bars = {
        "type": "bar",
        "orientation": "h",
        "name": "mean of the runs; whiskers: 10 - 90 % of windows",
        "x": [rate.mean for rate in rates],
        "y": [group.label for group in chosen],
        "marker": {"color": draw.PALETTE[0]},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, (h or r.mean) - r.mean) for h, r in zip(highs, rates)],
            "arrayminus": [max(0.0, r.mean - (w or r.mean)) for w, r in zip(lows, rates)],
            "color": draw.GREY,
        },
    }
    seeds = [
        (group.label, value)
        for group in chosen
        for value in group.numbers(f"{RATE}_median") or group.numbers(f"train_{RATE}")
    ]
    dots = {
        "type": "scatter",
        "mode": "markers",
        "name": "a run",
        "x": [value for _, value in seeds],
        "y": [label for label, _ in seeds],
        "marker": {"color": draw.PALETTE[4], "size": 6},
    }
    x = draw.axis("training molecules/s", rangemode="tozero")
    return draw.rows_figure([g.label for g in chosen], [bars, dots], x), said


def _slowness(group: Group) -> float:
    rate = rate_of(group)
    return float("inf") if rate is None else -rate.mean
