"""A job's process: its output, its end, what it said last, and the locks it holds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gnnpack.experiments import process
from gnnpack.experiments.locks import take_lock
from gnnpack.experiments.process import (
    PARENT_VARIABLE,
    Interrupted,
    die_with_parent,
    end_tidily,
    last_line,
    on_cores,
    reason_of,
    run_process,
)
from gnnpack.experiments.run_state import lock_is_held


@pytest.fixture
def run(tmp_path):
    """Run Python code as a job's process; returns its status."""
    log = tmp_path / "output.log"

    def run(code: str, **options):
        options = {"cwd": str(tmp_path), "environment": {}, **options}
        return run_process([sys.executable, "-c", code], log, **options)

    run.log = log
    return run


def test_output_is_appended_and_the_status_returned(run, tmp_path):
    assert run("import os, sys; print(os.getcwd()); sys.exit(3)") == 3
    assert run("import sys; print('more', file=sys.stderr)") == 0
    assert run.log.read_text() == f"{tmp_path}\nmore\n"
    assert run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)") == -9


def test_a_program_is_told_who_started_it_and_gets_no_input(run):
    code = (
        f"import os, sys; print(os.environ[{PARENT_VARIABLE!r}], os.environ['A'], sys.stdin.read())"
    )
    assert run(code, environment={"A": "b"}) == 0
    assert run.log.read_text() == f"{os.getpid()} b \n"


def test_a_program_runs_on_its_cores_alone(run):
    core = max(os.sched_getaffinity(0))
    assert run("import os; print(os.sched_getaffinity(0))", cores=[core]) == 0
    assert run.log.read_text() == f"{{{core}}}\n"


def test_cores_are_given_back(monkeypatch):
    before = os.sched_getaffinity(0)
    with pytest.raises(RuntimeError), on_cores([min(before)]):
        raise RuntimeError
    assert os.sched_getaffinity(0) == before


def test_a_program_whose_sweep_is_gone_is_ended(run):
    began = []
    with pytest.raises(Interrupted):
        run(
            "import time; time.sleep(60)",
            told_to_end=lambda: signal.SIGTERM if began else None,
            began=began.append,
        )
    with pytest.raises(ProcessLookupError):
        os.kill(began[0], 0)


def test_a_program_that_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.2)
    code = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    child.stdout.readline()
    end_tidily(child, signal.SIGTERM)
    assert child.returncode == -signal.SIGKILL
    child.stdout.close()


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for counts."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


# A rank 0 that starts another rank, as Lightning does, and what it does then.
RANKS = (
    "import os, signal, subprocess, sys, time\n"
    "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "print(other.pid, flush=True)\n"
)


@pytest.mark.parametrize(
    "then, status",
    [("os.kill(os.getpid(), signal.SIGKILL)", -9), ("sys.exit(1)", 1), ("time.sleep(60)", None)],
)
def test_no_rank_outlives_the_first(run, then, status):
    if status is None:
        with pytest.raises(Interrupted):
            run(RANKS + then, told_to_end=lambda: signal.SIGTERM if run.log.read_text() else None)
    else:
        assert run(RANKS + then) == status
    other = int(run.log.read_text())
    until = time.monotonic() + 30
    while not is_gone(other):
        assert time.monotonic() < until, "the other rank goes on"
        time.sleep(0.01)


def test_a_program_has_time_to_end(monkeypatch):
    code = "import time\ntry: print(flush=True); time.sleep(60)\nexcept KeyboardInterrupt: exit(7)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    child.stdout.readline()
    end_tidily(child, signal.SIGINT)
    assert child.returncode == 7
    child.stdout.close()


def test_a_program_holds_the_locks_it_was_given(tmp_path):
    path = tmp_path / ".lock"
    lock = take_lock(path)
    assert take_lock(path, patience=0.0) is None
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1, pass_fds=[lock])
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1)
    os.close(lock)
    assert lock_is_held(path)
    child.communicate(b"\n")
    assert not lock_is_held(path)
    other.communicate(b"\n")


def test_who_only_looks_does_not_keep_others_from_a_lock(tmp_path):
    path = tmp_path / ".lock"
    os.close(take_lock(path))
    looking = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, pathlib; from gnnpack.experiments.run_state import lock_is_held\n"
            "print(flush=True)\n"
            "while True: lock_is_held(pathlib.Path(sys.argv[1]))",
            str(path),
        ],
        stdout=subprocess.PIPE,
    )
    looking.stdout.readline()
    try:
        for _ in range(5000):
            lock = take_lock(path)
            assert lock is not None
            os.close(lock)
    finally:
        looking.kill()
        looking.communicate()


@pytest.mark.parametrize(
    "said, line",
    [
        ("", ""),
        ("one\ntwo\n", "two"),
        ("Traceback ...\nValueError: no\n\n  \n", "ValueError: no"),
        ("train: shape.num_atoms=4 is too small.\n(HYDRA_FULL_ERROR=1 shows where.)\n", None),
        ("why\nwandb: Find logs at: x\n", "why"),
        ("why\n━━━━━━━━\n", "why"),
        ("epoch 1 ▏\repoch 2 ▏", "epoch 2 ▏"),
        ("\xff why".encode("latin-1"), "\ufffd why"),
    ],
)
def test_what_a_program_said_last(tmp_path, said, line):
    log = tmp_path / "output.log"
    log.write_bytes(said if isinstance(said, bytes) else said.encode())
    assert last_line(log) == ("shape.num_atoms=4 is too small." if line is None else line)


def test_what_an_earlier_attempt_said_is_not_the_reason(tmp_path):
    log = tmp_path / "output.log"
    log.write_text("old trouble\n")
    assert reason_of(1, log, len("old trouble\n")) == "ended with status 1 and said nothing"
    assert reason_of(1, log) == "old trouble"


@pytest.mark.parametrize("number, name", [(9, "SIGKILL"), (15, "SIGTERM"), (11, "SIGSEGV")])
def test_a_signal_is_named(tmp_path, number, name):
    told = reason_of(-number, tmp_path / "none")
    assert told.startswith(f"killed by signal {number} ({name})")
    assert ("out of memory" in told) == (name == "SIGKILL")


def test_an_orphan_from_the_start_ends_at_once(monkeypatch):
    monkeypatch.setenv(PARENT_VARIABLE, "1" if os.getppid() != 1 else "2")
    code = "from gnnpack.experiments.process import die_with_parent as d; d(); print('on')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "has ended" in done.stderr


def test_without_a_sweep_nothing_happens(monkeypatch):
    monkeypatch.delenv(PARENT_VARIABLE, raising=False)
    die_with_parent()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
