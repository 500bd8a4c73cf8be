"""How much faster more devices train: measured, on paper, and published, each said to be so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

from gnnpack.experiments.comparison import Comparison, at_most, comparisons
from gnnpack.experiments.packs_on_ranks import PacksOnRanks
from gnnpack.experiments.published import SCALING_SOURCE, STRONG_SCALING
from gnnpack.experiments.report_figures import GREY, axis, color, figure, symbol
from gnnpack.experiments.report_numbers import count
from gnnpack.experiments.report_section import Section, Table
from gnnpack.experiments.scaling_lines import (
    Line,
    Point,
    lines_on_paper,
    measured_lines,
    scaling_line,
)
from gnnpack.experiments.scaling_setting import setting_of

if TYPE_CHECKING:
    from pathlib import Path

    from gnnpack.experiments.run_folder import RunFacts

VARIED = (
    "accelerator.devices",
    "accelerator.num_nodes",
    "accelerator.replicas",
    "accelerator.strategy",
    "accelerator.device_iterations",
    "batch_size",
    "loader",
)
# Of which the figure draws what was published.
DRAWN = ("QM9, packed", "QM9, padded", "QM9, no host input")


def paper_scaling(runs: Sequence[RunFacts]) -> Section | None:
    """Strong and weak scaling over devices; efficiency from the smallest number measured."""
    found = [
        one
        for one in comparisons(runs, VARIED, setting_of)
        if len({answer.value.devices for answer in one.answers}) > 1
    ]
    if not found:
        return None
    found, left_out = at_most(found)
    rows: list[list[str]] = []
    folders: list[Sequence[Path]] = []
    measured: list[Line] = []
    paper: list[Line] = []
    for one in found:
        for line in measured_lines(one):
            measured.append(line)
            for point in line.points:
                rows.append(_row(line, point))
                folders.append(point.folders)
        for line, shares in lines_on_paper(one):
            paper.append(line)
            rows += [_paper_row(line, *both) for both in zip(line.points, shares)]
            folders += [()] * len(shares)
    published = [
        scaling_line(f"published: {data}", rates) for data, rates in STRONG_SCALING.items()
    ]
    for line in published:
        rows += [_row(line, point) for point in line.points]
        folders += [()] * len(line.points)
    headings = (
        "",
        "devices",
        "molecules/s",
        "times as fast",
        "efficiency %",
        "packs a device and update",
        "empty packs an epoch",
        "molecules an update",
    )
    shown = [line for line in published if line.name[len("published: ") :] in DRAWN]
    return Section(
        "More devices",
        [*_sentences(found), *left_out],
        Table(headings, rows, folders, "Efficiency: times as fast over times as many devices."),
        _figure(measured, paper, shown),
        "scaling",
    )


def _row(line: Line, point: Point) -> list[str]:
    rate = "" if point.rate is None else count(point.rate)
    efficiency = f"{100 * line.efficiency(point):.1f}"
    return [line.name, f"{point.devices:,}", rate, f"{point.times:.2f}", efficiency, "", "", ""]


def _paper_row(line: Line, point: Point, share: PacksOnRanks) -> list[str]:
    packs, empty = f"{share.packs_per_rank_update:,}", f"{share.empty_packs:,}"
    return [*_row(line, point)[:5], packs, empty, f"{share.molecules_per_update:,.1f}"]


def _sentences(found: Sequence[Comparison]) -> list[str]:
    emulated = any(
        run.summary.get("emulated") for one in found for a in one.answers for run in a.runs
    )
    told = [
        "Efficiency counts from the smallest number of devices of each line, not from one.",
        "On paper: packs alone are counted, and every pack takes as long as any other. The time to "
        "sum gradients, to wait for input and to start a step is left out, so no run can do "
        "better. Every device gets the same number of packs, so an update may hold more molecules "
        "than asked for, as the last column tells; the lines end where some would get none.",
        f"Published figures are from {SCALING_SOURCE}; efficiencies are computed anew, each from "
        "the smallest number of its own row.",
    ]
    if any(len({answer.value.way for answer in one.answers}) > 1 for one in found):
        told.append(
            "Runs that differ in the strategy, the updates a call or the loader are lines of their "
            "own; one of these with a single number of devices is no line and not shown."
        )
    if emulated:
        told.append("Emulated runs have no speed and are left out.")
    return told


def _figure(
    measured: Sequence[Line], paper: Sequence[Line], published: Sequence[Line]
) -> dict[str, Any]:
    lines = [*measured, *paper, *published]
    traces: list[dict[str, Any]] = []
    furthest = 1.0
    for number, line in enumerate(lines):
        base = line.points[0].devices
        times_devices = [point.devices / base for point in line.points]
        furthest = max(furthest, *times_devices)
        style = "solid" if number < len(measured) else "dash" if line in paper else "dot"
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": line.name,
                "x": times_devices,
                "y": [point.times for point in line.points],
                "line": {"color": color(number), "dash": style},
                "marker": {"color": color(number), "symbol": symbol(number)},
            }
        )
    ideal = {
        "type": "scatter",
        "mode": "lines",
        "name": "ideal",
        "x": [1.0, furthest],
        "y": [1.0, furthest],
        "line": {"color": GREY, "dash": "dash"},
    }
    x = axis("times as many devices as the smallest number", log=True)
    return figure([ideal, *traces], x, axis("times as fast", log=True), showlegend=True)
