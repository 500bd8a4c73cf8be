"""What a search ends with: its trials, its best parameters and the command that runs them."""

from __future__ import annotations

import shlex
from typing import Any, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from gnnpack.experiments.report_drawing import write_figure
from gnnpack.experiments.study import Study
from gnnpack.experiments.study_record import record_path, study_record
from gnnpack.experiments.study_section import history_figure, ranked, value_unit
from gnnpack.experiments.sweep_table import STYLES

SHOWN = 10


def print_end(study: Study, base: Sequence[str], console: Console | None = None) -> None:
    """The best trials, why others failed, and how to run the best; draws the study's figure."""
    console = console or Console()
    settings = study.settings
    record = study_record(study)
    if record["best"] is not None:
        path = record_path(settings.folder, settings.folder.name, settings.name)
        write_figure(
            history_figure(record, *value_unit(record, settings.folder)), path.parent, path.stem
        )
    console.print(trial_table(record, *value_unit(record, settings.folder)))
    for trial in record["trials"]:
        if trial["state"] == "failed":
            place = "" if trial["key"] is None else f"\n  {settings.folder / trial['key']}"
            told = f"trial {trial['number'] + 1} failed: {trial['reason']}{place}"
            console.print(told, soft_wrap=True, highlight=False, markup=False)
    for line in last_lines(study, record, base):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def trial_table(record: dict[str, Any], factor: float, unit: str) -> Table:
    """The best `SHOWN` trials, the best first."""
    names = list(record["space"])
    title = f"search {record['name']}: {record['direction']} {record['metric']}"
    table = Table(title=escape(title), title_justify="left")
    for heading in ("trial", f"value ({unit})" if unit else "value", "state", *names, "time"):
        table.add_column(Text(heading), justify="left" if heading == "state" else "right")
    for trial in ranked(record)[:SHOWN]:
        seconds = trial["seconds"]
        table.add_row(
            str(trial["number"] + 1),
            f"{factor * trial['value']:.4g}",
            Text(trial["state"], STYLES.get(trial["state"], "yellow")),
            # A list is no markup.
            *(Text(str(trial["params"].get(name, ""))) for name in names),
            "" if seconds is None else f"{seconds:,.0f} s",
        )
    return table


def last_lines(study: Study, record: dict[str, Any], base: Sequence[str]) -> list[str]:
    """How many trials are in which state, what comes next, and the command of the best."""
    states = [trial["state"] for trial in record["trials"]]
    counts = ", ".join(f"{states.count(one)} {one}" for one in dict.fromkeys(sorted(states)))
    lines = [f"{counts or 'no trial'} of {study.settings.num_trials}."]
    if study.failed_too_often:
        lines.append(f"Given up after {study.settings.max_failures} failures (max_failures).")
    if not study.enough:
        lines.append("The same command goes on with the search.")
    if record["best"] is not None:
        best = record["trials"][record["best"]]
        overrides = [f"{key}={value}" for key, value in best["params"].items()]
        command = ["python", "train.py", *base, *overrides, "hydra.mode=RUN"]
        lines.append(f"Best: trial {best['number'] + 1}, {study.settings.folder / best['key']}")
        lines.append("  " + shlex.join(command))
    return lines
