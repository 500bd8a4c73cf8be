from __future__ import annotations

import csv
import io
import os
import subprocess
import sys

import pytest

from gnnpack.experiments.find_runs import find_runs
from tests.experiments.made_runs import make_run, make_runs

SWEEP = "outputs/sweeps/made"


@pytest.fixture
def runs(gnnpack, capsys):
    """The lines that `gnnpack runs ARGUMENTS` prints."""

    def call(*arguments: str) -> list[str]:
        gnnpack("runs", *arguments)
        return capsys.readouterr().out.splitlines()

    return call


@pytest.fixture
def mixed(folder):
    """A sweep of six jobs, one of them failed, one missing; a finished run and a stopped one."""
    made = folder / SWEEP
    make_runs(made, 6, seeds=2, states={1: "failed", 4: "missing"})
    make_run(folder / "outputs" / "2026-03-01" / "first", seed=7)
    make_run(folder / "outputs" / "2026-03-01" / "second", state="unfinished")
    return folder


def refused(gnnpack, *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        gnnpack("runs", *arguments)
    assert end.value.code not in (0, None)
    return str(end.value)


def test_without_any_run_it_says_what_makes_one(runs, folder):
    assert runs() == [
        "No runs in outputs/ (there is none here). `python train.py` makes one; give the folder "
        "that holds yours."
    ]
    (folder / "outputs").mkdir()
    assert runs()[0].startswith("No runs in outputs.")
    assert runs("--watch")[0].startswith("No runs in outputs.")
    assert runs("--csv") == ["folder,state,reason,sweep,key,variant,started,seconds"]


def test_all_runs_are_listed_below_their_sweep_s_counts(runs, mixed):
    sweep, heading, *lines = runs()
    assert sweep == (
        f"sweep made ({SWEEP}): done 4, failed 1 (RuntimeError: out of memory), missing 1"
    )
    assert " ".join(heading.split()) == (
        "state sweep run test MAE val MAE molecules/s filler epochs time started folder"
    )
    assert [line.split()[0] for line in lines] == [
        *("done", "unfinished"),
        *("done", "failed", "done", "done", "missing", "done"),
    ]
    first = next(run for run in find_runs([mixed]) if run.name == "first")
    for text in (
        "seed=7",
        f"{1000 * first.summary['test_mae']:.1f} meV",
        f"{first.summary['molecules_per_second_median']:,.0f}",
        "1.60 %",
        "outputs/2026-03-01/first",
    ):
        assert text in lines[0]
    assert "3/20" in lines[1]


def test_a_long_line_is_whole_in_a_pipe(runs, folder):
    make_run(folder / "outputs" / ("long" * 50) / ("name" * 50))
    assert runs()[-1].rstrip().endswith("long" * 50 + "/" + "name" * 50)


def test_failed_tells_the_whole_reason(runs, folder):
    reason = "ValueError: " + "no " * 200
    failed = make_run(folder / SWEEP / "abc", sweep="made", state="failed", reason=reason)
    make_run(folder / SWEEP / "def", sweep="made")
    sweep, heading, line = runs("--failed")
    assert sweep.endswith("no …)")
    assert heading.split()[-1] == "why"
    assert reason.strip() in line
    assert failed.name in line
    assert runs("--state=failed") == [sweep, heading, line]


def test_runs_are_filtered_sorted_and_limited(runs, mixed):
    lines = runs("--filter", "packer=lpfhp", "--filter=seed=0", "--state", "done")
    assert [line.split()[-1] for line in lines[2:]] == [f"{SWEEP}/{0:012x}"]
    lines = runs("outputs/sweeps", "--sort=-molecules_per_second", "--limit", "2")
    rates = sorted(
        (run.summary.get("molecules_per_second_median", 0) for run in find_runs([mixed / SWEEP])),
        reverse=True,
    )
    assert len(lines) == 4
    for line, rate in zip(lines[2:], rates):
        assert f" {rate:,.0f} " in line
    assert runs("--filter", "packer=optimal", "--failed") == [
        "None of the 8 runs is such a one (--failed, --state, --filter)."
    ]


def test_csv_holds_every_number_unrounded(runs, mixed):
    rows = list(csv.DictReader(io.StringIO("\n".join(runs("--csv")))))
    found = find_runs([mixed / "outputs"])
    assert len(rows) == len(found) == 8
    for row, run in zip(rows, found):
        assert row["state"] == run.state
        assert row["folder"] == os.path.relpath(run.folder, mixed)
        for key, value in run.summary.items():
            known = "" if value is None else str(value)
            assert row[key] == known, key
    assert {row["packer"] for row in rows} == {"lpfhp", "optimal", "one_per_pack", ""}
    assert [row["seed"] for row in rows if row["state"] == "failed"] == ["1"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["nowhere"], ["There is no nowhere", "outputs/"]),
        (["--filter", "packr=lpfhp"], ["packr", "Did you mean packer"]),
        (["--filter", "lr=0.1"], ["Did you mean optimizer.lr"]),
        (["--sort=test_mea"], ["Did you mean test_mae"]),
        (["--filter", "packer"], ["write key=value"]),
    ],
)
def test_what_is_wrong_is_told_with_the_cure(gnnpack, mixed, arguments, words):
    said = refused(gnnpack, *arguments)
    for word in words:
        assert word in said


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--limit", "0"], "1 or more"),
        (["--interval", "nan"], "number of seconds"),
        (["--state", "dead"], "unfinished"),
        (["--watch", "--csv"], "leave out --csv"),
        (["--fail"], "--fail"),
    ],
)
def test_a_wrong_flag_is_refused(gnnpack, mixed, capsys, arguments, words):
    refused(gnnpack, *arguments)
    assert words in capsys.readouterr().err


def test_help_tells_flags_and_examples(gnnpack, folder, capsys):
    with pytest.raises(SystemExit):
        gnnpack("runs", "--help")
    said = capsys.readouterr().out
    for word in ("--failed", "--csv", "--watch", "--sort", "--filter", "summary.json"):
        assert word in said


def test_watching_what_has_ended_tells_it_and_ends(runs, mixed):
    (mixed / SWEEP / "sweep.json").unlink()
    lines = runs("--watch")
    assert lines[0] == "sweep made: done 4, failed 1 (RuntimeError: out of memory)"
    assert lines[-1].startswith("All have ended: done 4, failed 1")
    assert len(lines) == 8


@pytest.mark.skipif(os.name == "nt", reason="there are no terminals of this kind")
def test_q_ends_watching_on_a_terminal(mixed):
    command = [sys.executable, "-c", "from gnnpack.commands.main import main; main()", "runs"]
    spawn = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) != 0)"
    said = b""
    with subprocess.Popen(
        [sys.executable, "-c", spawn, *command, "--watch", "--interval=600"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "200", "LINES": "40"},
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        # The sweep has a missing job, so it does not end by itself.
        while b"one_per_pack" not in said:
            read = os.read(program.stdout.fileno(), 4096)
            assert read, said.decode()
            said += read
        program.stdin.write(b"q")
        program.stdin.flush()
        said += program.stdout.read()
    assert program.returncode == 0, said.decode()
    assert b"Traceback" not in said
    # The cursor is shown again.
    assert said.rstrip().endswith(b"\x1b[?25h")
