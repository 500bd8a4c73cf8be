"""Learning curves: validation errors against updates and against seconds of training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Sequence

from gnnpack.experiments import report_figures as draw
from gnnpack.experiments.report_groups import Group, drawn, group_runs
from gnnpack.experiments.report_points import Array, has_clock, mean_curve, points, thinned
from gnnpack.experiments.report_section import Section

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts

# An eye tells no more lines of one colour apart.
MOST_SEEDS = 8
LIMIT = 14


def curves_by_updates(runs: Sequence[RunFacts]) -> Section | None:
    """Validation errors over optimizer steps: what an update teaches."""
    groups, said = _groups(runs, "updates")
    traces = _traces(groups, "updates")
    # Of one run alone the curve stands beside its training loss.
    if not traces or len(runs) == 1:
        return None
    sentences = [
        "Validation error against updates: how much is learnt by a step of the optimizer. A thick "
        "line is the mean of a group's runs, thin ones are single runs.",
        *said,
    ]
    return _section("Learning by updates", sentences, traces, groups, "updates", "learning_updates")


def curves_by_seconds(runs: Sequence[RunFacts]) -> Section | None:
    """Validation errors over seconds: what an hour of the machine teaches."""
    groups, said = _groups(runs, "seconds")
    traces = _traces(groups, "seconds")
    if not traces:
        return None
    sentences = ["Validation error against seconds of training: how much is learnt in a time."]
    shown = [run for group in groups for run, *_ in _curves(group, "seconds")[:MOST_SEEDS]]
    if not all(map(has_clock, shown)):
        sentences.append(
            "Where metrics.csv holds no times, an update's second is taken from the run's mean "
            "rate of updates."
        )
    return _section(
        "Learning by time",
        [*sentences, *said],
        traces,
        groups,
        "seconds of training",
        "learning_seconds",
    )


def training_loss(runs: Sequence[RunFacts]) -> Section | None:
    """Loss of training and error of validation, of one run alone."""
    if len(runs) != 1:
        return None
    run = runs[0]
    traces = []
    for column, name, number in (("train/loss", "training loss", 0), ("val/mae", "val MAE", 1)):
        x, y = points(run, "updates", column)
        if len(x):
            x, y = thinned(x, y)
            traces.append(
                _line(x, y, name, draw.color(number), 1.4 if number == 0 else 2.6, legend=True)
            )
    if not traces:
        return None
    log = draw.wide([value for trace in traces for value in trace["y"]], 3.0)
    unit = str(run.summary.get("unit") or "")
    figure = draw.figure(
        traces,
        draw.axis("updates", rangemode="tozero"),
        draw.axis(f"loss, MAE ({unit})" if unit else "loss, MAE", log=log),
        height=420,
    )
    return Section("Training", (), None, figure, "training")


def _groups(runs: Sequence[RunFacts], against: str) -> tuple[list[Group], list[str]]:
    """Those groups that have curves, `LIMIT` at most, and what is to be said of the choice."""
    groups = known = [group for group in group_runs(runs) if _curves(group, against)]
    said: list[str] = []
    if len(known) > LIMIT:
        groups, said = drawn(
            known, lambda g: g.mean("test_mae"), LIMIT, ("best test error", "worst")
        )
        if len(groups) < LIMIT:
            # Too few have ended: those that go on are worth a look, too.
            others = [group for group in known if group not in groups]
            chosen = [*groups, *others[: LIMIT - len(groups)]]
            groups = [group for group in known if group in chosen]
            said = [f"{LIMIT} of {len(known):,} groups are drawn: those that ended come first."]
    if any(len(_curves(group, against)) > MOST_SEEDS for group in groups):
        said = [*said, f"The first {MOST_SEEDS} runs of a group are drawn."]
    if len({group.task[2] for group in groups if group.measured}) > 1:
        said = [*said, "Errors of different units stand on one axis: compare within a unit only."]
    return groups, said


def _curves(group: Group, against: str) -> list[tuple[RunFacts, Array, Array]]:
    """The runs of a group that have points, and these."""
    told = ((run, *points(run, against)) for run in group.runs)
    return [(run, x, y) for run, x, y in told if len(x)]


def _traces(groups: Sequence[Group], against: str) -> list[dict[str, Any]]:
    traces: list[dict[str, Any]] = []
    # Colours as in the other figures, which show groups with a test error only.
    factor = _unit(groups)[0]
    measured_first = sorted(groups, key=lambda group: not group.measured)
    for group in groups:
        number = measured_first.index(group)
        told = _curves(group, against)[:MOST_SEEDS]
        curves = [(run, thinned(x, factor * y)) for run, x, y in told]
        color, dash = draw.color(number), draw.dash(number)
        if len(curves) > 1:
            traces += [_line(x, y, group.label, color, 1.0, opacity=0.4) for _, (x, y) in curves]
        # A run that was cut short would cut the mean short.
        whole = [curve for run, curve in curves if run in group.measured]
        x, y = mean_curve(whole or [curve for _, curve in curves])
        if len(x):
            traces.append(_line(x, y, group.label, color, 2.6, dash=dash, legend=True))
    return traces


def _unit(groups: Sequence[Group]) -> tuple[float, str]:
    """Factor and unit of the groups' errors; (1, "") where it is not known or not one."""
    from gnnpack.tracking.error_unit import error_unit

    units = {group.task[2] for group in groups} - {""}
    return error_unit(units.pop()) if len(units) == 1 else (1.0, "")


def _line(
    x: Array,
    y: Array,
    name: str,
    color: str,
    width: float,
    *,
    dash: str = "solid",
    opacity: float = 1.0,
    legend: bool = False,
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines" if len(x) > 1 else "markers",
        "name": name,
        "legendgroup": name,
        "showlegend": legend,
        "x": x.tolist(),
        "y": y.tolist(),
        "opacity": opacity,
        "line": {"color": color, "width": width, "dash": dash},
        "marker": {"color": color, "size": 7},
    }


def _section(
    title: str,
    sentences: Sequence[str],
    traces: Sequence[Mapping[str, Any]],
    groups: Sequence[Group],
    x: str,
    name: str,
) -> Section:
    unit = f" ({_unit(groups)[1]})" if _unit(groups)[1] else ""
    log = draw.wide([value for trace in traces for value in trace["y"]], 3.0)
    figure = draw.figure(
        traces,
        draw.axis(x, rangemode="tozero"),
        draw.axis(f"validation MAE{unit}", log=log),
        height=460,
    )
    return Section(title, sentences, None, figure, name)
