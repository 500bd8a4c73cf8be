"""What each measure of the paper brings, beside what was published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Sequence

from gnnpack.experiments.accelerator_of import accelerator_of
from gnnpack.experiments.comparison import Comparison, at_most, comparisons
from gnnpack.experiments.published import ABLATION, ABLATION_SOURCE, over_the_first
from gnnpack.experiments.report_figures import axis, color, figure
from gnnpack.experiments.report_numbers import count, spread
from gnnpack.experiments.report_section import Section, Table
from gnnpack.experiments.verdict import spread_shown

if TYPE_CHECKING:
    from pathlib import Path

    from gnnpack.experiments.run_folder import RunFacts

# Variant of sweeps/paper_ablation.yaml -> what it is called, and what the published step is called.
STEPS: Mapping[str, tuple[str, str | None]] = {
    "padding": ("padding", "padding"),
    "packing": ("+ packing", "packing"),
    "prefetch": ("+ prefetch", "asynchronous loader"),
    "device_optimisations": ("+ device optimisations", "device optimisations"),
    "device_iterations": ("+ device iterations", None),
}
LAST_PUBLISHED = "prefetch depth 4"
# What the variants set.
VARIED = (
    "packer",
    "loader",
    "model.filter",
    "model.compiled",
    "accelerator.strategy",
    "accelerator.device_iterations",
    "accelerator.prefetch_depth",
    "accelerator.merge_collectives",
    "accelerator.num_io_tiles",
)


def paper_ablation(runs: Sequence[RunFacts]) -> Section | None:
    """The variants of sweeps/paper_ablation.yaml: throughput over padding's."""
    steps = [run for run in runs if run.variant in STEPS]
    found = comparisons(steps, VARIED, lambda run: list(STEPS).index(run.variant or ""))
    if not found:
        return None
    found, left_out = at_most(found)
    published = {data: over_the_first(figures) for data, figures in ABLATION.items()}
    rows: list[list[str]] = []
    folders: list[Sequence[Path]] = []
    traces: list[dict[str, Any]] = []
    emulated = False
    for one in found:
        place = _place(one)
        ratios = _over_padding(one)
        for answer in one.answers:
            name, theirs = STEPS[list(STEPS)[answer.value]]
            rate = answer.rate
            told = any(run.summary.get("emulated") for run in answer.runs)
            emulated = emulated or told
            rows.append(
                [
                    place,
                    name,
                    "emulated" if told else "" if rate is None else count(rate.mean),
                    f"{ratios[answer.value]:.2f}" if answer.value in ratios else "",
                    spread_shown(spread(answer.errors().values())),
                    *(f"{figures[theirs]:.2f}" if theirs else "" for figures in published.values()),
                ]
            )
            folders.append(answer.folders)
        if ratios:
            names = [STEPS[list(STEPS)[step]][0] for step in ratios]
            bars = _bars(f"measured here: {place}", names, list(ratios.values()))
            traces.append({**bars, "marker": {"color": color(len(traces))}})
    rows.append(
        ["published alone", f"+ {LAST_PUBLISHED}", "", "", ""]
        + [f"{figures[LAST_PUBLISHED]:.2f}" for figures in published.values()]
    )
    folders.append([])
    units = " or ".join(sorted({one.unit for one in found}))
    headings = (
        "accelerator",
        "measure",
        "molecules/s here",
        "over padding, here",
        f"test MAE ({units})",
        *(f"published, {data}" for data in published),
    )
    for data, figures in published.items():
        given = {name: figures[theirs] for name, theirs in STEPS.values() if theirs}
        given[f"+ {LAST_PUBLISHED}"] = figures[LAST_PUBLISHED]
        bars = _bars(f"published: {data}", list(given), list(given.values()))
        # Pale, so that what was measured here stands out.
        traces.append({**bars, "marker": {"color": color(len(traces))}, "opacity": 0.45})
    order = [name for name, _ in STEPS.values()] + [f"+ {LAST_PUBLISHED}"]
    x = axis("", type="category", categoryorder="array", categoryarray=order)
    return Section(
        "One measure after another",
        [*_sentences(emulated), *left_out],
        Table(headings, rows, folders, "Each row has the measures of those above it as well."),
        figure(traces, x, axis("molecules/s over padding"), barmode="group", showlegend=True),
        "ablation",
    )


def _sentences(emulated: bool) -> list[str]:
    told = [
        f"Published figures are from {ABLATION_SOURCE}: other machines and another program. Beside "
        "ours stand ratios to their own padding, never rates.",
        "Their third step is an asynchronous loader, where ours makes batches ahead; they made "
        "four updates a call from the start, and added a prefetch depth of 4 last.",
    ]
    if emulated:
        told.append(
            "Emulated runs show that a variant runs and what it learns. They have no speed: a "
            "computer's seconds for an IPU's program mean nothing."
        )
    return told


def _place(one: Comparison) -> str:
    """Its name and accelerator, each once."""
    told = accelerator_of(one.answers[0].runs[0])
    return one.name if told in one.name.split(", ") else f"{one.prefix}{told}"


def _over_padding(one: Comparison) -> dict[int, float]:
    """Step -> mean rate over that of padding; {} where padding was not measured."""
    rates = {answer.value: answer.rate for answer in one.answers}
    base = rates.get(0)
    if base is None:
        return {}
    return {step: rate.mean / base.mean for step, rate in rates.items() if rate is not None}


def _bars(name: str, steps: Sequence[str], values: Sequence[float]) -> dict[str, Any]:
    return {"type": "bar", "name": name, "x": list(steps), "y": list(values)}
