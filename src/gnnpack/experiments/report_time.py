"""Padding, waiting, and where the time of a step and of a run goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

from gnnpack.experiments import report_figures as draw
from gnnpack.experiments.report_columns import measured_columns
from gnnpack.experiments.report_groups import Group, drawn, group_runs
from gnnpack.experiments.report_numbers import NOT_MEASURED, percent, shown
from gnnpack.experiments.report_section import Section, Table

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts


def where_time_goes(runs: Sequence[RunFacts]) -> Section | None:
    """Filler, input wait, percentiles of a host step, compile and capture seconds."""
    groups = [group for group in group_runs(runs) if group.measured]
    if not groups:
        return None
    headings = [
        "group",
        "filler (%)",
        "input wait (%)",
        "step p10 (ms)",
        "step p50 (ms)",
        "step p90 (ms)",
        "step p99 (ms)",
        "compile (s)",
        "capture (s)",
        "training (s)",
        "whole run (s)",
    ]
    rows = [
        [
            group.label,
            percent(filler_of(group)),
            percent(group.mean("input_wait_fraction")),
            *(milliseconds(group.mean(f"step_seconds_{p}")) for p in ("p10", "p50", "p90", "p99")),
            shown(group.mean("compile_seconds"), 3),
            shown(group.mean("capture_seconds"), 3),
            shown(group.mean("train_seconds"), 3),
            shown(group.mean("wall_seconds"), 3),
        ]
        for group in groups
    ]
    headings, rows, absent = measured_columns(headings, rows)
    sentences = [
        "Means over the runs of a group. Filler: slots of the training packs without an atom. "
        "Input wait: the share of training in which nothing was there to compute on. A step is "
        "one call from the host; percentiles are over the steps of a run."
    ]
    table = Table(headings, rows, folders=[group.folders for group in groups])
    chosen, said = drawn(groups, filler_of, draw.LIMIT, ("least filler", "most"))
    figure = _waste(chosen) if len(chosen) > 1 else None
    sentences += [*(said if figure else []), *absent]
    return Section("Padding and where time goes", sentences, table, figure, name="padding")


def _waste(groups: Sequence[Group]) -> dict[str, Any]:
    labels = [group.label for group in groups]
    shares = {
        "filler among atom slots": [filler_of(group) for group in groups],
        "time waiting for input": [group.mean("input_wait_fraction") for group in groups],
    }
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "x": [None if value is None else 100 * value for value in values],
            "y": labels,
            "marker": {"color": color},
        }
        for (name, values), color in zip(shares.items(), (draw.PALETTE[1], draw.PALETTE[5]))
    ]
    x = draw.axis("share (%)", rangemode="tozero")
    return draw.rows_figure(labels, traces, x, barmode="group")


def filler_of(group: Group) -> float | None:
    """Share of atom slots without an atom: of the steps, else of the plan."""
    measured = group.mean("filler_fraction")
    if measured is not None:
        return measured
    efficiency = group.mean("atom_efficiency")
    return None if efficiency is None else 1.0 - efficiency


def milliseconds(seconds: float | None) -> str:
    """Milliseconds of seconds.

    >>> milliseconds(0.0123), milliseconds(None)
    ('12.3', 'not measured')
    """
    return NOT_MEASURED if seconds is None else shown(1000 * seconds, 3)
