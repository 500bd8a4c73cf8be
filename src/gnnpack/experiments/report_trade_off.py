"""Test error against speed: what an answer costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from gnnpack.experiments import report_figures as draw
from gnnpack.experiments.report_accuracy import errors_of
from gnnpack.experiments.report_groups import drawn, group_runs
from gnnpack.experiments.report_section import Section
from gnnpack.experiments.report_speed import rate_of

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts


def accuracy_against_speed(runs: Sequence[RunFacts]) -> Section | None:
    """Test error against molecules/s, where several groups have both."""
    groups = [group for group in group_runs(runs) if group.measured and rate_of(group)]
    if len(groups) < 3 or len({group.task for group in groups}) > 1:
        return None
    chosen, said = drawn(
        groups, lambda group: group.mean("test_mae"), draw.LIMIT, ("best test error", "worst")
    )
    traces = []
    for number, group in enumerate(chosen):
        error, rate = errors_of(group)[0], rate_of(group)
        assert error is not None
        assert rate is not None
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": group.label,
                "x": [rate.mean],
                "y": [error.mean],
                "error_x": {"type": "data", "array": [rate.deviation or 0.0]},
                "error_y": {"type": "data", "array": [error.deviation or 0.0]},
                "marker": {
                    "color": draw.color(number),
                    "symbol": draw.symbol(number),
                    "size": 11,
                },
            }
        )
    unit = errors_of(chosen[0])[1]
    speeds = [rate.mean for rate in map(rate_of, chosen) if rate]
    figure = draw.figure(
        traces,
        draw.axis("training molecules/s", log=draw.wide(speeds, 8.0)),
        draw.axis(f"test MAE ({unit})"),
        height=460,
    )
    sentences = ["Down and right is better. Bars are the standard deviation over seeds."]
    return Section("Accuracy against speed", [*sentences, *said], None, figure, "trade_off")
