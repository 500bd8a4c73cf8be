"""Runs as a table for people, a line of counts for each sweep, and a CSV for programs."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path
from typing import Any, Sequence, TextIO

from rich.console import Group

from gnnpack.experiments import run_facts
from gnnpack.experiments.columns import Column, draw, fit_columns
from gnnpack.experiments.differences import differences, job_label
from gnnpack.experiments.run_folder import RunFacts
from gnnpack.experiments.run_state import STATES
from gnnpack.tracking.summary import duration

STYLES = {"done": "green", "running": "cyan", "failed": "red", "unfinished": "yellow"}
NUMBERS = ("test MAE", "val MAE", "molecules/s", "filler", "epochs", "time")
# What a narrow screen can do without, first to last; the sweeps' lines tell folders too.
GIVE_WAY = ("folder", "started", "epochs", "filler", "val MAE", "time", "sweep", "molecules/s")
# --failed tells it whole.
LONGEST_REASON = 100


def runs_table(runs: Sequence[RunFacts], now: float, *, width: int, reasons: bool = False) -> Group:
    """One row a run. ``now``: unix time; ``width``: of the screen; ``reasons``: why runs failed."""
    rows = [_cells(run, now) for run in runs]
    foldable = {"run": 24 if reasons else 40, "why": 24, "folder": 24}
    columns = [
        Column(
            heading,
            [row[heading] for row in rows],
            number=heading in NUMBERS,
            foldable=foldable.get(heading, 0),
            styles=[STYLES.get(run.state, "") for run in runs] if heading == "state" else (),
        )
        for heading in rows[0]
    ]
    hidden = {"why": not reasons, "sweep": len({run.sweep for run in runs}) < 2}
    shown = [column for column in columns if not hidden.get(column.heading)]
    whole = [column for column in shown if column.heading != "name"]
    # The folder's name stands in only where the whole folder has no room.
    if fit_columns(whole, width, GIVE_WAY) == whole:
        return draw(whole, width, GIVE_WAY)
    # Who looks for what failed needs the name more than an error there is seldom.
    return draw(shown, width, [*GIVE_WAY, *(["test MAE"] if reasons else []), "name"])


def sweep_lines(runs: Sequence[RunFacts]) -> list[str]:
    """``sweep seeds (FOLDER): done 2, failed 1 (ValueError: ...)``, for each sweep."""
    sweeps: dict[tuple[str, Path], list[RunFacts]] = {}
    for run in runs:
        if run.sweep is not None:
            sweeps.setdefault((run.sweep, run.folder.parent), []).append(run)
    return [
        f"sweep {name} ({nearby(folder)}): {counts(jobs)}"
        for (name, folder), jobs in sweeps.items()
    ]


def counts(runs: Sequence[RunFacts]) -> str:
    """How many runs are in which state; of failures the most frequent reason, shortened."""
    number = Counter(run.state for run in runs)
    told = []
    for state in sorted(number, key=lambda s: STATES.index(s) if s in STATES else len(STATES)):
        why = f" ({_main_reason(runs)})" if state == "failed" else ""
        told.append(f"{state} {number[state]:,}{why}")
    return ", ".join(told)


def write_csv(runs: Sequence[RunFacts], file: TextIO) -> None:
    """One line a run: what it is, the settings that differ, every key of summary.json; unrounded.

    A cell is empty where a run has no such value or it was not measured.
    """
    differing = differences(runs)
    keys = dict.fromkeys(key for run in runs for key in run.summary)
    facts = [_csv_facts(run) for run in runs]
    names = [*(facts[0] if facts else _csv_facts(RunFacts(Path(), "missing"))), *differing, *keys]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(dict.fromkeys(names))
    for i, (run, known) in enumerate(zip(runs, facts)):
        settings = {name: column[i] for name, column in differing.items()}
        row = {**run.summary, **settings, **known}
        writer.writerow([row.get(name) for name in dict.fromkeys(names)])


def what(run: RunFacts) -> str:
    """What was run: a job's variant and swept settings, else what was typed, else its name."""
    return job_label(run) or " ".join(run.typed) or run.name


def nearby(folder: Path) -> str:
    """The folder as a user would type it: from here, where it lies below."""
    here = os.path.relpath(folder)
    return os.fspath(folder) if here.startswith(os.pardir) else here


def _cells(run: RunFacts, now: float) -> dict[str, str]:
    """Heading -> cell."""
    rate, filler = run_facts.molecules_per_second(run), run_facts.filler_fraction(run)
    seconds, begun = run_facts.seconds(run, now), run_facts.started(run)
    return {
        "state": run.state,
        "sweep": run.sweep or "",
        "run": what(run),
        "test MAE": error_text(run_facts.error(run, "test_mae")),
        "val MAE": error_text(run_facts.error(run, "val_mae")),
        "molecules/s": "" if rate is None else f"{rate:,.0f}",
        "filler": "" if filler is None else f"{100 * filler:.2f} %",
        "epochs": run_facts.epochs(run),
        "time": "" if seconds is None else duration(seconds),
        "started": "" if begun is None else f"{begun:%Y-%m-%d %H:%M}",
        "name": run.name,
        "folder": nearby(run.folder),
        "why": run.reason or "",
    }


def error_text(error: tuple[float, str] | None) -> str:
    """An error and its unit, to three digits or tenths.

    >>> error_text((12.345, "meV")), error_text((0.012345, "D"))
    ('12.3 meV', '0.0123 D')
    """
    if error is None:
        return ""
    value, unit = error
    return f"{value:,.1f} {unit}" if value >= 10 else f"{value:.3g} {unit}"


def _main_reason(runs: Sequence[RunFacts]) -> str:
    reasons = Counter(run.reason or "no reason told" for run in runs if run.state == "failed")
    (first, _), *others = reasons.most_common()
    short = first if len(first) <= LONGEST_REASON else f"{first[: LONGEST_REASON - 1]}…"
    return f"{short}; others differ" if others else short


def _csv_facts(run: RunFacts) -> dict[str, Any]:
    begun = run_facts.started(run)
    return {
        "folder": str(run.folder),
        "state": run.state,
        "reason": run.reason,
        "sweep": run.sweep,
        "key": run.key,
        "variant": run.variant,
        "started": None if begun is None else begun.isoformat(),
        "seconds": run_facts.seconds(run),
    }
