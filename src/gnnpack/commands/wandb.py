"""`gnnpack wandb [PATHS]`, `gnnpack wandb sync [PATHS]`, `gnnpack wandb sweeps`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Callable, Sequence

from gnnpack.commands.errors import errors_for_people
from gnnpack.experiments.run_folder import read_run
from gnnpack.tracking.wandb_client import check_online
from gnnpack.tracking.wandb_parts import LocalRun, find_local_runs
from gnnpack.tracking.wandb_sync import (
    Outcome,
    Uploader,
    goes_on,
    sync_runs,
    upload_by_wandb,
)

OUTPUTS = Path("outputs")
USAGE = """Weights & Biases: what waits on this disk, uploading it, and sweeps for its agents.

usage: gnnpack wandb [PATH ...]                   list the runs that are not uploaded
       gnnpack wandb sync [PATH ...] [--dry-run]  upload them; each once, resumed ones whole
       gnnpack wandb sweeps [FOLDER]              write sweeps/wandb/*.yaml from sweeps/*.yaml

A PATH is a run's folder, one above (outputs), or a folder or file W&B wrote of the run."""


def main() -> None:
    """List, upload or write, as the command line says."""
    words = sys.argv[1:]
    if words and words[0] in ("-h", "--help"):
        print(USAGE)
        return
    with errors_for_people("gnnpack wandb"):
        if words and words[0] == "sync":
            raise SystemExit(sync(words[1:]))
        if words and words[0] == "sweeps":
            from gnnpack.commands.wandb_sweeps import write_all

            write_all(words[1:])
            return
        list_waiting(_parse("gnnpack wandb", words, []).paths)


def list_waiting(paths: Sequence[Path]) -> None:
    """Print the runs that wait, and what to do about it."""
    waiting = [run for run in find_local_runs(_or_outputs(paths)) if run.waits]
    for run in waiting:
        print(_line(run, "running" if goes_on(run, is_running) else "waits"))
    print(
        f"{len(waiting)} waiting. Upload with: gnnpack wandb sync"
        if waiting
        else "Nothing waits: every W&B run below is uploaded, or there is none."
    )


def sync(
    words: Sequence[str],
    upload: Uploader = upload_by_wandb,
    check: Callable[[], None] = check_online,
) -> int:
    """Upload what waits; the exit status, 1 if something could not be uploaded."""
    arguments = _parse("gnnpack wandb sync", words, ["--dry-run"])
    runs = [run for run in find_local_runs(_or_outputs(arguments.paths)) if run.waits]
    if arguments.dry_run or not runs:
        for run in runs:
            print(_line(run, "running" if goes_on(run, is_running) else "would be uploaded"))
        print("Nothing waits." if not runs else "Nothing was uploaded (--dry-run).")
        return 0
    check()
    outcomes: list[Outcome] = []
    for outcome in sync_runs(runs, upload, is_running):
        outcomes.append(outcome)
        why = f": {outcome.reason}" if outcome.reason else ""
        print(_line(outcome.run, outcome.state) + why, flush=True)
    states = [outcome.state for outcome in outcomes]
    counts = ", ".join(f"{states.count(one)} {one}" for one in dict.fromkeys(sorted(states)))
    print(f"{counts or 'nothing left to upload'}.")
    if "failed" in states:
        print("What failed stays here and is tried again by the same command.")
    return int("failed" in states)


def is_running(run_dir: Path) -> bool:
    """Whether a run goes on in this folder."""
    return read_run(run_dir).state == "running"


def _line(run: LocalRun, state: str) -> str:
    parts = f", {len(run.parts)} parts" if len(run.parts) > 1 else ""
    return f"{run.run_dir}  {run.run_id}{parts}  {state}"


def _parse(program: str, words: Sequence[str], flags: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=program, allow_abbrev=False)
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH")
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    return parser.parse_args(words)


def _or_outputs(paths: Sequence[Path]) -> Sequence[Path]:
    return paths or ([OUTPUTS] if OUTPUTS.is_dir() else [])
