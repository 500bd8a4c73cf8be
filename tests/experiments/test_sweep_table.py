"""The table a sweep ends with, and the line a job ends with."""

from __future__ import annotations

import io
import json

from rich.console import Console
from tests.experiments.stand_in_sweep import make_sweep

from gnnpack.experiments.job import Job
from gnnpack.experiments.job_words import outcome
from gnnpack.experiments.run_folder import RunFacts, read_run
from gnnpack.experiments.sweep_table import counted, print_table

SUMMARY = {
    "test_mae": 0.02491,
    "unit": "eV",
    "train_molecules_per_second": 5400.4,
    "wall_seconds": 37.9,
}


def facts(state: str, **more) -> RunFacts:
    return RunFacts(folder=None, state=state, **more)


def test_a_job_ends_with_a_line():
    done = facts("done", summary=SUMMARY)
    assert outcome(done) == "done, 24.9 meV, 5,400 molecules/s, 38 s"
    assert outcome(facts("failed", reason="no memory")) == "failed: no memory"
    assert outcome(facts("done", summary={"test_mae": 0.5, "unit": "D"})) == "done, 0.5 D"
    assert outcome(facts("done", summary={"train_molecules_per_second": None})) == "done"


def test_the_table_tells_of_every_job(tmp_path):
    folders = make_sweep(tmp_path / "s", [[], [], []])
    (folders[0] / "summary.json").write_text(json.dumps(SUMMARY))
    (folders[1] / "state.json").write_text(
        json.dumps({"state": "failed", "reason": "[bold]no[/bold] memory " + "x" * 200})
    )
    text = io.StringIO()
    jobs = [Job("s", path.name, n, [], swept={"n": str(n)}) for n, path in enumerate(folders, 1)]
    print_table(jobs, list(map(read_run, folders)), tmp_path / "s", Console(file=text, width=80))
    told = text.getvalue()
    row = next(line for line in told.splitlines() if "n=1" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "1", "n=1", "done", "24.9 meV", "5,400 molecules/s", "38 s",
    ]  # fmt: skip
    # Neither cut nor read as markup, and the folder beside it.
    assert f"job 2 n=2 failed: [bold]no[/bold] memory {'x' * 200}\n  {folders[1]}" in told
    assert told.endswith("1 done, 1 failed, 1 missing. The same command runs the 2 left.\n")


def test_what_is_left_is_counted():
    assert counted([facts("done"), facts("done")]) == "2 done."
    assert counted([facts("done"), facts("running"), facts("pruned")]) == (
        "1 done, 1 pruned, 1 running."
    )
    assert counted([facts("unfinished")]) == "1 unfinished. The same command runs the 1 left."
