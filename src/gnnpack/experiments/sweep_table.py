"""The table a sweep ends with."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from gnnpack.experiments.job import Job
from gnnpack.experiments.job_words import error, rate, seconds
from gnnpack.experiments.run_folder import RunFacts

STYLES = {"done": "green", "failed": "red", "running": "cyan", "pruned": "dim"}


def print_table(
    jobs: Sequence[Job], facts: Sequence[RunFacts], folder: Path, console: Console | None = None
) -> None:
    """A row a job, the last line of each that failed, and how many are in which state."""
    console = console or Console()
    table = Table(title=escape(f"sweep {folder.name}"), title_justify="left")
    for heading in ("job", "swept", "state", "test error", "speed", "time"):
        table.add_column(heading, justify="left" if heading in ("swept", "state") else "right")
    for job, one in zip(jobs, facts):
        state = Text(one.state, STYLES.get(one.state, "yellow"))
        shown = [figure(one.summary) for figure in (error, rate, seconds)]
        table.add_row(str(job.number), Text(job.label), state, *shown)
    console.print(table)
    for job, one in zip(jobs, facts):
        if one.state == "failed":
            told = f"job {job.number} {job.label} failed: {one.reason}\n  {folder / job.key}"
            console.print(told, soft_wrap=True, highlight=False, markup=False)
    console.print(counted(facts), highlight=False)


def counted(facts: Sequence[RunFacts]) -> str:
    """How many jobs are in which state, e.g. ``10 done, 2 failed``, and what to do about it."""
    states = [one.state for one in facts]
    line = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states)))
    left = sum(state not in ("done", "pruned", "running") for state in states)
    return f"{line}. The same command runs the {left} left." if left else f"{line}."
