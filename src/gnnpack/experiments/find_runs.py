"""Every run below some folders, in the order people expect, also those that never started."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator, Sequence

from gnnpack.experiments.job import JOB, STATE, SWEEP
from gnnpack.experiments.run_folder import RunFacts, read_json, read_run

# A folder that holds one of these is a run's. config.yaml alone is not enough: conf/ holds one.
SIGNS = {JOB, STATE, "run.json", "summary.json", "live.json", "train.log"}
# What runs keep inside their folders.
INSIDE = {"checkpoints", "figures", "wandb"}


def find_runs(paths: Sequence[Path]) -> list[RunFacts]:
    """Every run in and below the paths, each once, sorted by folder, within a sweep by job.

    A path is a run's folder, any folder above runs, or a file in one of them. Jobs that a
    sweep.json names and that have not begun are ``missing`` runs; what earlier attempts of a job
    left (attempt_1, ...) is no run, and links to folders are not followed.

    Raises:
        ValueError: a path is not there.
    """
    found: dict[str, RunFacts] = {}
    for path in paths:
        if not path.exists():
            raise ValueError(
                f"There is no {path}. Give a run's folder, a sweep's, or one above them such as "
                "outputs/."
            )
        root = path if path.is_dir() else path.parent
        for run in _below(root):
            found.setdefault(os.path.realpath(run.folder), run)
    return list(found.values())


def _below(folder: Path) -> Iterator[RunFacts]:
    try:
        with os.scandir(folder) as entries:
            held = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        # Removed since it was listed, or not ours to read.
        return
    names = {entry.name for entry in held}
    if names & SIGNS:
        yield read_run(folder)
    if SWEEP in names:
        yield from _jobs(folder, [Path(entry.path) for entry in held if _is_open(entry)])
        return
    for entry in held:
        if _is_open(entry):
            yield from _below(Path(entry.path))


def _jobs(folder: Path, folders: Sequence[Path]) -> Iterator[RunFacts]:
    """The jobs of a sweep: first those its last start names, in its order, then all others."""
    sweep = read_json(folder / SWEEP)[0]
    named = sweep.get("jobs")
    keys = [str(key) for key in named] if isinstance(named, list) else []
    for key in keys:
        run = read_run(folder / key)
        run.sweep = run.sweep or str(sweep.get("name", folder.name))
        run.key = run.key or key
        yield run
    for other in folders:
        if other.name not in keys:
            yield from _below(other)


def _is_open(entry: os.DirEntry[str]) -> bool:
    """Whether runs may lie below: a folder, not hidden, and none of a run's own."""
    if entry.name.startswith((".", "attempt_")) or entry.name in INSIDE:
        return False
    return entry.is_dir(follow_symlinks=False)
