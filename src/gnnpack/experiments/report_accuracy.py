"""Test errors with their spread over seeds, beside predicting the training mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

from gnnpack.experiments import report_figures as draw
from gnnpack.experiments.report_groups import Group, drawn, group_runs
from gnnpack.experiments.report_numbers import Spread, several, shown, spread
from gnnpack.experiments.report_section import Section, Table
from gnnpack.experiments.run_state import learned

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts


def errors_of(group: Group, key: str = "test_mae") -> tuple[Spread | None, str]:
    """Spread of an error of the group's runs, and the unit it is shown in (meV for eV)."""
    from gnnpack.tracking.error_unit import error_unit

    factor, unit = error_unit(group.task[2])
    return spread(factor * value for value in group.numbers(key)), unit


def accuracy(runs: Sequence[RunFacts]) -> Section | None:
    """Mean and spread over seeds of every group, always beside the training mean's error."""
    groups = [group for group in group_runs(runs) if group.measured]
    if not groups:
        return None
    tasks = sorted({group.task for group in groups})
    if len(groups) > draw.LIMIT:
        # A long table is folded: the best stand on top.
        groups = sorted(groups, key=lambda group: (group.task, group.mean("test_mae") or 0.0))
    headings, rows = _table(groups, tasks)
    sentences = [
        "Mean absolute errors on the test split, of the weights that were best in validation. "
        "Spread is over the runs of a group, which differ in their seed only: ± is the standard "
        "deviation of one run (n - 1). The training mean is what predicting the mean of the "
        "training split would err by.",
        *_warnings(groups),
    ]
    if len(tasks) > 1:
        sentences.append(
            f"{several(len(tasks), 'data set or target', 'data sets or targets')}: the figure "
            "shows errors as a share of the training mean's."
        )
    figure, said = _figure(groups, one_task=len(tasks) == 1)
    sentences += said
    table = Table(headings, rows, folders=[group.folders for group in groups])
    return Section("Accuracy", sentences, table, figure, name="accuracy")


def _table(groups: Sequence[Group], tasks: Sequence[Any]) -> tuple[list[str], list[list[str]]]:
    units = {errors_of(group)[1] for group in groups}
    unit = f" ({units.pop()})" if len(units) == 1 else ""
    headings = [
        "group",
        *(["task"] if len(tasks) > 1 else []),
        "runs",
        f"test MAE{unit}",
        "±",
        "least",
        "most",
        "training mean",
        "times better",
        f"val MAE{unit}",
    ]
    rows = []
    for group in groups:
        error, shown_unit = errors_of(group)
        assert error is not None, "a measured group has a test error"
        baseline, val = errors_of(group, "baseline_mae")[0], errors_of(group, "val_mae")[0]
        behind = "" if unit else f" {shown_unit}"
        ratio = baseline.mean / error.mean if baseline and error.mean > 0 else None
        rows.append(
            [
                group.label,
                *([" ".join(group.task[:2])] if len(tasks) > 1 else []),
                _runs(group),
                shown(error.mean) + behind,
                "one run" if error.deviation is None else shown(error.deviation, 2),
                shown(error.least),
                shown(error.most),
                shown(baseline.mean if baseline else None),
                shown(ratio, 3),
                shown(val.mean if val else None),
            ]
        )
    return headings, rows


def _runs(group: Group) -> str:
    measured, tried = len(group.measured), len(group.runs)
    return f"{measured:,}" if measured == tried else f"{measured:,} of {tried:,}"


def _warnings(groups: Sequence[Group]) -> list[str]:
    measured = [run for group in groups for run in group.measured]
    lost = [run for run in measured if not learned(run.summary)]
    sentences = []
    if lost:
        names = ", ".join(run.name for run in lost[:5])
        more = f" and {len(lost) - 5:,} more" if len(lost) > 5 else ""
        verb = "run" if len(lost) == 1 else "runs"
        sentences.append(
            f"Warning: {len(lost):,} {verb} did not learn, with a test error not below the "
            f"training mean's: {names}{more}."
        )
    partial = [group.label for group in groups if len(group.measured) < len(group.runs)]
    if partial:
        sentences.append(
            f"Of {several(len(partial), 'group')} not all runs came to a test error; their mean "
            "is of those that did."
        )
    repeated = [
        g for g in groups if len({str(r.config.get("seed")) for r in g.measured}) < len(g.measured)
    ]
    if repeated:
        sentences.append(
            f"Warning: in {several(len(repeated), 'group')} a seed was run more than once, so the "
            "spread there is not that of seeds."
        )
    if len(groups) > 1 and all(len(group.measured) == 1 for group in groups):
        sentences.append(
            "Every group has one run, so nothing here tells how much a seed changes: "
            "differences may be chance."
        )
    return sentences


def _figure(groups: Sequence[Group], *, one_task: bool) -> tuple[dict[str, Any] | None, list[str]]:
    def value(group: Group) -> float | None:
        error, baseline = errors_of(group)[0], errors_of(group, "baseline_mae")[0]
        if error is None or one_task:
            return None if error is None else error.mean
        return error.mean / baseline.mean if baseline and baseline.mean > 0 else None

    def points(group: Group) -> list[float]:
        if one_task:
            factor = (value(group) or 0.0) / (group.mean("test_mae") or 1.0)
            return [factor * error for error in group.numbers("test_mae")]
        baseline = group.mean("baseline_mae") or 1.0
        return [error / baseline for error in group.numbers("test_mae")]

    chosen, said = drawn(groups, value, draw.LIMIT, ("best test error", "worst"))
    if sum(len(group.measured) for group in chosen) < 2:
        return None, []
    labels = [group.label for group in chosen]
    spreads = [spread(points(group)) for group in chosen]
    known = [one for one in spreads if one is not None]
    each = [(label, x) for label, group in zip(labels, chosen) for x in points(group)]
    baselines = [errors_of(group, "baseline_mae")[0] for group in chosen]
    line = max((b.mean for b in baselines if b), default=None) if one_task else 1.0
    unit = errors_of(chosen[0])[1]
    title = f"test MAE ({unit})" if one_task else "test MAE / training mean's"
    log = draw.wide([one.mean for one in known], 8.0)
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "a run",
            "x": [x for _, x in each],
            "y": [label for label, _ in each],
            "marker": {"color": draw.PALETTE[4], "size": 7, "opacity": 0.8},
        },
        {
            "type": "scatter",
            "mode": "markers",
            "name": "mean ± standard deviation",
            "x": [one.mean for one in known],
            "y": labels,
            "error_x": {
                "type": "data",
                "array": [one.deviation or 0.0 for one in known],
                "color": draw.PALETTE[0],
            },
            "marker": {"color": draw.PALETTE[0], "size": 9, "symbol": "diamond"},
        },
    ]
    words = f"training mean: {shown(line)} {unit}" if one_task else "training mean"
    marks = {} if line is None else draw.beyond(line, words, [x for _, x in each])
    return draw.rows_figure(labels, traces, draw.axis(title, log=log), **marks), said
