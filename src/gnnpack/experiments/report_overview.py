"""What ran, and in what the runs differ."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Sequence

from gnnpack.experiments.report_config import ABSENT, differing, flat, telling
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
    if counts.get("unfinished"):
        sentences.append(
            "Unfinished runs stopped without an end (killed, or the machine went down); the sweep "
            "started again, or resume=FOLDER, goes on with them from their last checkpoint."
        )
    # A long table is folded: what went wrong stands on top.
    first = ("failed", "unfinished", "missing", "running", "pruned")
    rank = {state: number for number, state in enumerate(first)}
    told_first = sorted(runs, key=lambda run: rank.get(run.state, len(rank)))
    label_of = {id(run): group.label for group in group_runs(runs) for run in group.runs}
    rows = [
        (
            run.name,
            label_of[id(run)],
            _seed(run),
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


def _seed(run: RunFacts) -> str:
    seed = run.config.get("seed", run.swept.get("seed"))
    return "" if seed is None else str(seed)


def _progress(run: RunFacts) -> str:
    updates = finite(run.summary.get("updates"))
    if updates is not None:
        return f"{updates:,.0f}"
    updates, total = finite(run.live.get("updates")), finite(run.live.get("total_updates"))
    if updates is None:
        return ""
    return f"{updates:,.0f}" if total is None else f"{updates:,.0f} of {total:,.0f}"


def differences(runs: Sequence[RunFacts]) -> Section | None:
    """What differs between the groups of runs, and what is common to all."""
    groups = group_runs(runs)
    first = [next((run for run in group.runs if run.config), None) for group in groups]
    known = [(g, flat(run.config)) for g, run in zip(groups, first) if run is not None]
    if not known:
        return None
    configs = [config for _, config in known]
    names = [name for name in telling(configs, differing(configs)) if name != "seed"]
    if len(known) == 1:
        return _single(runs, configs[0])
    alike = [n for n in configs[0] if n != "seed" and n not in differing(configs)]
    without = len(groups) - len(known)
    sentences = [
        f"{several(len(known), 'group')} of runs with the same settings but the seed; "
        f"{several(len(names), 'setting differs', 'settings differ')} between groups, "
        f"{several(len(alike), 'is', 'are')} common to all. Options that only come along with "
        "another choice are not told apart; each run's config.yaml holds everything."
    ]
    if without:
        sentences.append(
            f"{several(without, 'group')} of runs ended before a config.yaml was written."
        )
    table = Table(
        ["group", "runs", *names],
        [
            (group.label, str(len(group.runs)), *(config.get(n, ABSENT) for n in names))
            for group, config in known
        ],
        folders=[[run.folder for run in group.runs] for group, _ in known],
    )
    return Section("What differs", sentences, table)


def common(runs: Sequence[RunFacts]) -> Section | None:
    """The settings all runs share, where there are several groups."""
    configs = [flat(run.config) for run in runs if run.config]
    if len(group_runs(runs)) < 2 or not configs:
        return None
    others = set(differing(configs))
    rows = [(n, v) for n, v in configs[0].items() if n not in others and n != "seed"]
    return Section("Common settings", (), Table(["setting", "value"], rows)) if rows else None


def _single(runs: Sequence[RunFacts], config: dict[str, str]) -> Section:
    seeds = sorted({_seed(run) for run in runs if _seed(run)})
    sentences = [
        "One run." if len(runs) == 1 else "All runs have the same settings but the seed.",
        f"Seeds: {', '.join(seeds)}." if len(seeds) > 1 else "",
    ]
    rows = list(config.items())
    return Section("Settings", [s for s in sentences if s], Table(["setting", "value"], rows))
