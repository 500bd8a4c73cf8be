"""The report's sections on searches: how they went, what was tried, what mattered."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

from gnnpack.experiments.report_figures import GREY, PALETTE, axis, figure
from gnnpack.experiments.report_numbers import several
from gnnpack.experiments.report_section import Section, Table
from gnnpack.experiments.run_folder import RunFacts, read_json
from gnnpack.tracking import error_unit

# Values of the middle of a study decide the colours: one bad trial would make all others alike.
COLOURS = ("#0072b2", "#56b4e9", "#e69f00", "#d55e00")
LINES = 60
TABLE_ROWS = 10


def search_history(runs: Sequence[RunFacts]) -> Section | None:
    """Every trial's value in the order they were begun, and the best so far; of `shown_study`."""
    found = shown_study(runs)
    if found is None:
        return None
    folder, record, others = found
    factor, unit = value_unit(record, folder)
    sentences = _sentences(record, factor, unit)
    if others:
        sentences.append(
            f"{several(others, 'other search is', 'other searches are')} not shown: a report tells "
            "of one."
        )
    return Section(
        title=f"Search: {record['name']}",
        sentences=sentences,
        table=_best_table(record, folder, factor, unit),
        figure=history_figure(record, factor, unit),
        name="search_history",
    )


def search_parameters(runs: Sequence[RunFacts]) -> Section | None:
    """A line a trial through its parameters; the colour tells its value."""
    found = shown_study(runs)
    if found is None or len(_done(found[1])) < 3 or len(found[1]["space"]) < 2:
        return None
    folder, record, _ = found
    factor, unit = value_unit(record, folder)
    return Section(
        title=f"Search: parameters of {record['name']}",
        sentences=(
            "Each line is a done trial: from 0, the lowest it could draw, to 1, the highest; "
            f"choices stand in the order of the file. The best {LINES} are drawn.",
        ),
        figure=parameters_figure(record, factor, unit),
        name="search_parameters",
    )


def search_importance(runs: Sequence[RunFacts]) -> Section | None:
    """How much each parameter decided the value."""
    found = shown_study(runs)
    importance = {} if found is None else found[1].get("importance") or {}
    if found is None or not importance:
        return None
    names = list(importance)
    bars = {"type": "bar", "x": names, "y": [importance[name] for name in names]}
    return Section(
        title=f"Search: importance of parameters in {found[1]['name']}",
        sentences=(
            "Share of each parameter in whether a trial was among the better ones "
            "(PED-ANOVA over the done trials); a guide with few trials, not a measurement.",
        ),
        figure=figure(
            [{**bars, "name": "importance", "marker": {"color": PALETTE[0]}}],
            {"title": {"text": "parameter"}, "type": "category"},
            axis("share of the importance"),
            showlegend=False,
        ),
        name="search_importance",
    )


def shown_study(runs: Sequence[RunFacts]) -> tuple[Path, dict[str, Any], int] | None:
    """Folder and record of the first study with done trials, and how many others have some."""
    known = [(folder, record) for folder, record in studies(runs) if _done(record)]
    return (*known[0], len(known) - 1) if known else None


def _done(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [trial for trial in record["trials"] if trial["state"] == "done"]


def studies(runs: Sequence[RunFacts]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """(folder, study.json) of the searches that these runs belong to, each once."""
    for folder in dict.fromkeys(run.folder.parent for run in runs if run.key is not None):
        for path in sorted(folder.glob("study*.json")):
            record, damage = read_json(path)
            if damage is None and record.get("trials"):
                yield folder, record


def value_unit(record: Mapping[str, Any], folder: Path) -> tuple[float, str]:
    """Factor and unit in which people read the study's values, from a trial's summary."""
    if not str(record.get("metric", "")).endswith("mae"):
        return 1.0, ""
    for trial in record["trials"]:
        if trial["state"] == "done" and trial["key"]:
            unit = str(read_json(folder / trial["key"] / "summary.json")[0].get("unit", ""))
            return error_unit(unit) if unit else (1.0, "")
    return 1.0, ""


def ranked(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Done trials with their values, the best first."""
    done = [one for one in record["trials"] if one["state"] == "done" and one["value"] is not None]
    return sorted(done, key=lambda one: one["value"], reverse=record["direction"] == "maximize")


def history_figure(record: Mapping[str, Any], factor: float, unit: str) -> dict[str, Any]:
    """Trial number against value: done, pruned where they stood, and the best so far."""
    traces: list[dict[str, Any]] = []
    for state, colour, mark in (("done", PALETTE[0], "circle"), ("pruned", GREY, "x")):
        chosen = [
            (trial["number"] + 1, factor * trial["value"])
            for trial in record["trials"]
            if trial["state"] == state and trial["value"] is not None
        ]
        if chosen:
            points = {"x": [x for x, _ in chosen], "y": [y for _, y in chosen]}
            marker = {"color": colour, "symbol": mark, "size": 8}
            traces.append(
                {"type": "scatter", "mode": "markers", "name": state, "marker": marker, **points}
            )
    numbers, values = _best_so_far(record)
    best = {"x": numbers, "y": [factor * value for value in values]}
    line = {"color": PALETTE[1], "width": 2}
    traces.append({"type": "scatter", "mode": "lines", "name": "best so far", "line": line, **best})
    positive = all(value > 0 for trace in traces for value in trace["y"])
    title = f"{_metric(record)} ({unit})" if unit else _metric(record)
    return figure(traces, axis("trial"), axis(title, log=positive))


def parameters_figure(record: Mapping[str, Any], factor: float, unit: str) -> dict[str, Any]:
    """Parallel coordinates: the parameters beside each other, a line a done trial."""
    names = list(record["space"])
    done = ranked(record)[:LINES]
    traces: list[dict[str, Any]] = []
    seen: set[str] = set()
    # The worst first, so that the best lie above.
    for rank in range(len(done) - 1, -1, -1):
        group = rank * len(COLOURS) // len(done)
        part = ("best", "second", "third", "last")[group]
        told = f"trial {done[rank]['number'] + 1}: {factor * done[rank]['value']:.4g} {unit}"
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": names,
                "y": [_place(record["space"][key], done[rank]["params"].get(key)) for key in names],
                "name": f"{part} quarter",
                "legendgroup": part,
                "showlegend": part not in seen,
                "line": {"color": COLOURS[group], "width": 2 if group == 0 else 1},
                "hovertext": told.strip(),
            }
        )
        seen.add(part)
    categories = {"type": "category", "categoryorder": "array", "categoryarray": names}
    return figure(
        traces,
        {"title": {"text": "parameter"}, **categories},
        axis("place in its range"),
    )


def _place(entry: Mapping[str, Any], text: str | None) -> float | None:
    """Where a value stands in its range or among its choices, from 0 to 1."""
    if text is None:
        return None
    if "choices" in entry:
        choices = [str(one) for one in entry["choices"]]
        return choices.index(text) / max(1, len(choices) - 1) if text in choices else None
    low, high, value = float(entry["low"]), float(entry["high"]), float(text)
    if entry.get("log"):
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low)


def _best_so_far(record: Mapping[str, Any]) -> tuple[list[int], list[float]]:
    better = max if record["direction"] == "maximize" else min
    numbers: list[int] = []
    values: list[float] = []
    for trial in record["trials"]:
        if trial["state"] == "done" and trial["value"] is not None:
            values.append(better(values[-1], trial["value"]) if values else trial["value"])
            numbers.append(trial["number"] + 1)
    return numbers, values


def _best_table(record: Mapping[str, Any], folder: Path, factor: float, unit: str) -> Table:
    best = ranked(record)[:TABLE_ROWS]
    names = list(record["space"])
    return Table(
        headings=("trial", f"{_metric(record)} ({unit})" if unit else _metric(record), *names),
        rows=[
            (
                str(trial["number"] + 1),
                f"{factor * trial['value']:.4g}",
                *(trial["params"].get(name, "") for name in names),
            )
            for trial in best
        ],
        folders=[[folder / trial["key"]] if trial["key"] else [] for trial in best],
        caption="the best trials",
    )


def _sentences(record: Mapping[str, Any], factor: float, unit: str) -> list[str]:
    states = [trial["state"] for trial in record["trials"]]
    counts = ", ".join(f"{states.count(one)} {one}" for one in dict.fromkeys(sorted(states)))
    best = record["trials"][record["best"]]
    chosen = ", ".join(f"{key}={value}" for key, value in best["params"].items())
    return [
        f"{len(states)} trials ({counts}) by {record['sampler']} with the pruner "
        f"{record['pruner']} and seed {record['seed']}.",
        f"The best is trial {best['number'] + 1} with {_metric(record)} "
        f"{factor * best['value']:.4g} {unit}".rstrip()
        + f": {chosen}.",
        "Trials are judged by validation alone. The best of many validation errors is lower than "
        "what the same parameters give with another seed; train the best again to know.",
    ]


def _metric(record: Mapping[str, Any]) -> str:
    return "validation MAE" if record["metric"] == "val_mae" else str(record["metric"])
