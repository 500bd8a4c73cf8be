"""What ran, and how it ended."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Sequence

from gnnpack.experiments.attempts import CHECKPOINT
from gnnpack.experiments.comparison import seed_of
from gnnpack.experiments.report_groups import group_runs
from gnnpack.experiments.report_numbers import finite, several
from gnnpack.experiments.report_section import Section, Table

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts

# The order in which states are told.
STATES = ("done", "running", "failed", "pruned", "unfinished", "missing")


def state_counts(runs: Sequence[RunFacts]) -> dict[str, int]:
    """State -> runs, in the order of ``STATES``; those with none are left out."""
    counts = Counter(run.state for run in runs)
    known = {state: counts.pop(state) for state in STATES if state in counts}
    return {**known, **dict(sorted(counts.items()))}


def what_ran(runs: Sequence[RunFacts]) -> Section | None:
    """Every run with its state, and why a failed one failed."""
    if not runs:
        return None
    counts = state_counts(runs)
    shares = ", ".join(f"{number:,} {state}" for state, number in counts.items())
    sentences = [f"{several(len(runs), 'run')}: {shares}."]
    if counts.get("missing"):
        sentences.append(
            "Missing runs were never started; start the sweep again and only what is not done runs."
        )
    sentences += _unfinished([run for run in runs if run.state == "unfinished"])
    # A long table is folded: what went wrong stands on top.
    first = ("failed", "unfinished", "missing", "running", "pruned")
    rank = {state: number for number, state in enumerate(first)}
    told_first = sorted(runs, key=lambda run: rank.get(run.state, len(rank)))
    label_of = {id(run): group.label for group in group_runs(runs) for run in group.runs}
    rows = [
        (
            run.name,
            label_of[id(run)],
            seed_of(run),
            run.state,
            _progress(run),
            run.reason or "",
        )
        for run in told_first
    ]
    headings = ["run", "group", "seed", "state", "updates", "reason"]
    if not any(run.reason for run in runs):
        headings, rows = headings[:-1], [row[:-1] for row in rows]  # type: ignore[misc]
    return Section(
        "What ran", sentences, Table(headings, rows, folders=[[run.folder] for run in told_first])
    )


def _unfinished(runs: Sequence[RunFacts]) -> list[str]:
    """What became of them, and what may be done."""
    if not runs:
        return []
    told = ["Unfinished runs stopped without an end (killed, or the machine went down)."]
    kept = sum((run.folder / CHECKPOINT).is_file() for run in runs)
    if kept:
        told.append(
            f"{kept:,} left a checkpoint: the sweep started again, or resume=FOLDER, goes on from "
            "there."
        )
    if kept < len(runs):
        told.append(
            f"{len(runs) - kept:,} left no checkpoint: the sweep started again, or the run's own "
            "command, begins anew."
        )
    return told


def _progress(run: RunFacts) -> str:
    updates = finite(run.summary.get("updates"))
    if updates is not None:
        return f"{updates:,.0f}"
    updates, total = finite(run.live.get("updates")), finite(run.live.get("total_updates"))
    if updates is None:
        return ""
    return f"{updates:,.0f}" if total is None else f"{updates:,.0f} of {total:,.0f}"
