"""Sweeps whose jobs are stand-ins for training, and a program that runs one: FOLDER [WANTED]."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Sequence

from gnnpack.experiments.devices import Request
from gnnpack.experiments.job import Job, now, write_job
from gnnpack.experiments.run_folder import RunFacts, read_run
from gnnpack.experiments.run_job import run_job
from gnnpack.experiments.start import Start

STAND_IN = Path(__file__).with_name("stand_in.py")


def stand_in(job: Job, folder: Path, goes_on: bool) -> list[str]:
    """The command line of a stand-in; a job's overrides are its options."""
    begins = "resume" if goes_on else "fresh"
    return [sys.executable, str(STAND_IN), str(folder), begins, *job.overrides]


def with_options(options: Sequence[str], job: Job, folder: Path, goes_on: bool) -> list[str]:
    """A stand-in with these options, whatever the job's overrides are."""
    return stand_in(replace(job, overrides=options), folder, goes_on)


def make_sweep(folder: Path, jobs: Sequence[Sequence[str]], **facts: Any) -> list[Path]:
    """Folders of a sweep's jobs, one for each list of a stand-in's options."""
    folders = []
    for number, options in enumerate(jobs, start=1):
        key = f"{number:012d}"
        job = Job(folder.name, key, number, list(options), swept={"n": str(number)}, **facts)
        write_job(folder / key, job)
        folders.append(folder / key)
    return folders


def start_of(folders: Sequence[Path], **facts: Any) -> Start:
    """A start of the sweep from here."""
    facts.setdefault("keys", tuple(folder.name for folder in folders))
    return Start(total=len(folders), started=now(), cwd=os.getcwd(), **facts)


def run_all(folders: Sequence[Path], start: Start | None = None, **facts: Any) -> list[RunFacts]:
    """Run the jobs one after another."""
    start = start or start_of(folders)
    for folder in folders:
        run_job(folder, start, stand_in, **facts)
    return [read_run(folder) for folder in folders]


def in_another_process(folder: Path, *wanted: str) -> subprocess.Popen[str]:
    """Run the sweep of a folder in a process of its own."""
    return subprocess.Popen(
        [sys.executable, __file__, str(folder), *wanted],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


if __name__ == "__main__":
    wanted = Request(sys.argv[2], int(sys.argv[3])) if len(sys.argv) > 2 else Request()
    run_all(sorted(path.parent for path in Path(sys.argv[1]).glob("*/job.json")), device=wanted)
