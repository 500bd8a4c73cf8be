"""What becomes of a sweep's jobs: done, failed, killed, gone on with, begun anew; never twice."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest
from tests.experiments.stand_in import CLASH, UPDATES
from tests.experiments.stand_in_sweep import (
    in_another_process,
    make_sweep,
    run_all,
    start_of,
)

from gnnpack.experiments.devices import Request
from gnnpack.experiments.job import PRUNED, read_job, write_job, write_state
from gnnpack.experiments.locks import take_lock
from gnnpack.experiments.run_folder import read_run
from gnnpack.experiments.run_job import SETTLED, end_of, run_job
from gnnpack.experiments.run_state import lock_is_held


def updates(folder: Path) -> list[int]:
    """The updates of a run, those that it made twice too."""
    return [int(line) for line in (folder / UPDATES).read_text().split()]


def wait_for(condition, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


def state(folder: Path) -> dict:
    try:
        return json.loads((folder / "state.json").read_text())
    except FileNotFoundError:
        return {}


def pid_of(folder: Path) -> int | None:
    """The process of a job that runs."""
    found = state(folder)
    return found.get("pid") if found.get("state") == "running" else None


def test_a_job_that_is_done_is_not_run_again(tmp_path, capfd):
    (folder,) = make_sweep(tmp_path / "s", [["updates=2"]])
    (facts,) = run_all([folder])
    assert (facts.state, facts.status["attempt"], facts.status["exit_status"]) == ("done", 1, 0)
    assert "job 1/1 n=1: begins\n" in capfd.readouterr().out
    run_all([folder])
    assert updates(folder) == [1, 2]
    assert "done already" in capfd.readouterr().out


def test_a_failure_is_told_and_the_others_go_on(tmp_path, capfd):
    folders = make_sweep(tmp_path / "s", [["updates=1"], ["fail_at=2"], ["updates=1"]])
    facts = run_all(folders)
    assert [one.state for one in facts] == ["done", "failed", "done"]
    assert facts[1].reason == "RuntimeError: update 2 went wrong"
    assert facts[1].status["exit_status"] == 1
    assert "job 2/3 n=2: failed: RuntimeError: update 2 went wrong" in capfd.readouterr().out


def test_an_error_before_a_checkpoint_begins_anew_and_keeps_what_was(tmp_path):
    (folder,) = make_sweep(tmp_path / "s", [["fail_at=2"]])
    run_all([folder])
    run_all([folder])
    assert state(folder)["attempt"] == 2
    assert updates(folder) == updates(folder / "attempt_1") == [1, 2]
    assert "went wrong" in (folder / "attempt_1" / "output.log").read_text()
    assert state(folder / "attempt_1")["reason"] == "RuntimeError: update 2 went wrong"


def test_an_error_after_a_checkpoint_goes_on_once_then_begins_anew(tmp_path):
    (folder,) = make_sweep(tmp_path / "s", [["fail_at=5"]])
    run_all([folder])
    assert updates(folder) == [1, 2, 3, 4, 5]
    run_all([folder])
    # From the checkpoint at 3; it fails at the same place.
    assert updates(folder) == [1, 2, 3, 4, 5, 4, 5]
    run_all([folder])
    assert updates(folder) == [1, 2, 3, 4, 5]
    assert updates(folder / "attempt_2") == [1, 2, 3, 4, 5, 4, 5]


def test_a_killed_job_is_told_and_goes_on_from_its_checkpoint(tmp_path):
    (folder,) = make_sweep(tmp_path / "s", [["kill_at=8"]])
    (facts,) = run_all([folder])
    assert (facts.state, facts.status["exit_status"]) == ("failed", -signal.SIGKILL)
    assert facts.reason == "killed by signal 9 (SIGKILL), perhaps out of memory"
    (facts,) = run_all([folder])
    assert facts.state == "done"
    assert updates(folder) == [1, 2, 3, 4, 5, 6, 7, 8, 7, 8, 9, 10]
    (whole,) = make_sweep(tmp_path / "whole", [[]])
    assert run_all([whole])[0].summary["test_mae"] == facts.summary["test_mae"]


def test_what_a_search_left_does_not_make_a_run_pruned_that_went_on(tmp_path):
    (folder,) = make_sweep(tmp_path / "s", [["kill_at=8"]])
    run_all([folder])
    (folder / PRUNED).write_text("{}")
    assert run_all([folder])[0].state == "done"
    assert not (folder / PRUNED).exists()
    # What a run that came to its end tells counts.
    (folder / PRUNED).write_text("{}")
    assert end_of(folder, 0, folder / "output.log", 0, True) == ("done", None)


@pytest.mark.parametrize("damage", ["short", "empty", "no archive", "a flipped bit"])
def test_a_checkpoint_that_cannot_be_read_is_not_gone_on_from(tmp_path, damage):
    (folder,) = make_sweep(tmp_path / "s", [["kill_at=8"]])
    run_all([folder])
    checkpoint = folder / "checkpoints" / "last.ckpt"
    whole = bytearray(checkpoint.read_bytes())
    if damage == "a flipped bit":
        whole[whole.index(b"[6")] ^= 1
    content = {"short": whole[: len(whole) // 2], "empty": b"", "no archive": b"checkpoint"}
    checkpoint.write_bytes(content.get(damage, whole))
    job = read_job(folder)
    write_job(folder, type(job)(**{**vars(job), "overrides": []}))
    (facts,) = run_all([folder])
    assert facts.state == "done"
    assert updates(folder) == list(range(1, 11))


def test_a_job_that_must_learn_fails_and_begins_anew(tmp_path, capfd):
    (folder,) = make_sweep(tmp_path / "s", [["error=1.5"]], must_learn=True)
    (facts,) = run_all([folder])
    assert (facts.state, state(folder)["state"]) == ("failed", "failed")
    assert facts.reason == "did not learn: test MAE 1.5 is not below 1 of the training mean"
    assert f"failed: {facts.reason}" in capfd.readouterr().out
    run_all([folder])
    assert updates(folder) == updates(folder / "attempt_1") == list(range(1, 11))


def test_redo_begins_done_jobs_anew_once(tmp_path):
    folders = make_sweep(tmp_path / "s", [["updates=4"]])
    run_all(folders)
    again = start_of(folders, redo=True)
    run_all(folders, again)
    run_all(folders, again)
    assert state(folders[0])["attempt"] == 2
    assert updates(folders[0]) == updates(folders[0] / "attempt_1") == [1, 2, 3, 4]


def test_no_job_begins_after_so_many_failures(tmp_path, capfd):
    folders = make_sweep(tmp_path / "s", [["fail_at=1"], ["fail_at=1"], ["updates=1"], []])
    run_all(folders[:1])
    time.sleep(0.01)
    # What failed in an earlier start does not count.
    facts = run_all(folders[1:], start_of(folders, max_failures=1))
    assert [one.state for one in facts] == ["failed", "missing", "missing"]
    assert "not begun: 1 failed, which is max_failures" in capfd.readouterr().out


def test_failures_of_another_start_do_not_count(tmp_path):
    folders = make_sweep(tmp_path / "s", [["fail_at=1"], ["updates=1"]])
    start = start_of(folders[1:], max_failures=1)
    # Of the same folder, and at the same time.
    run_all(folders[:1])
    assert run_all(folders[1:], start)[0].state == "done"


def test_what_goes_wrong_around_a_process_is_told_under_the_lock(tmp_path):
    (folder,) = make_sweep(tmp_path / "s", [[]])

    def broken(*_):
        raise ValueError("no such program")

    with pytest.raises(ValueError, match="no such program"):
        run_job(folder, start_of([folder]), broken)
    facts = read_run(folder)
    assert (facts.state, facts.reason) == ("failed", "no such program")
    assert facts.status["attempt"] == 1
    # Who has no lock writes nothing.
    write_state(folder, "running", attempt=2)
    lock = take_lock(folder / ".lock")
    run_job(folder, start_of([folder]), broken)
    os.close(lock)
    assert state(folder)["attempt"] == 2


@pytest.mark.parametrize("ends", ["did not learn", "done"])
@pytest.mark.parametrize("moves", range(7))
def test_killed_while_it_sets_aside_it_begins_anew_all_the_same(tmp_path, monkeypatch, ends, moves):
    error = "error=1.5" if ends == "did not learn" else "error=0.5"
    folders = make_sweep(tmp_path / "s", [["updates=4", error]], must_learn=True)
    run_all(folders)
    replace, left = Path.replace, [moves]

    def some(path: Path, target: Path) -> Path:
        if path.parent == folders[0] and left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= path.parent == folders[0]
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", some)
    start = start_of(folders, redo=True)
    with pytest.raises(KeyboardInterrupt):
        run_all(folders, start)
    monkeypatch.undo()
    run_all(folders, start)
    # From its first update on, once.
    assert updates(folders[0]) == [1, 2, 3, 4]
    assert (state(folders[0])["state"] == "done") == (ends == "done")


def test_a_process_that_ends_well_without_a_result_is_not_done(tmp_path):
    (folder,) = make_sweep(tmp_path / "s", [["ending=nothing", "updates=4"]])
    assert run_all([folder])[0].state == "unfinished"
    assert run_all([folder], writes_summary=False)[0].state == "done"


def test_more_devices_than_there_are_is_a_failure_with_a_cure(tmp_path, monkeypatch):
    monkeypatch.setenv("GNNPACK_FAKE_GPUS", "2")
    (folder,) = make_sweep(tmp_path / "s", [[]])
    (facts,) = run_all([folder], device=Request("gpu", 3))
    assert facts.state == "failed"
    assert (
        "wants 3 GPUs to itself and this machine has 2. Lower accelerator.devices" in facts.reason
    )
    assert not (folder / UPDATES).exists()


def test_two_starts_at_once_run_no_job_twice(tmp_path):
    sweep = tmp_path / "s"
    # Longer than a start is patient about a lock.
    folders = make_sweep(sweep, [["updates=6", "seconds=0.15"]] * 4)
    starts = [in_another_process(sweep) for _ in range(3)]
    said = "".join(start.communicate(timeout=60)[0] for start in starts)
    assert [start.returncode for start in starts] == [0, 0, 0], said
    assert [updates(folder) for folder in folders] == [list(range(1, 7))] * 4
    assert said.count(": begins") == 4
    assert "is run by another process" in said
    assert not list(sweep.glob(f"*/{CLASH}"))


def test_an_orphan_keeps_its_lock_and_its_end_counts(tmp_path, capfd):
    sweep = tmp_path / "s"
    (folder,) = make_sweep(sweep, [["orphan=1", "seconds=0.1"]])
    parent = in_another_process(sweep)
    wait_for(lambda: (folder / UPDATES).exists())
    parent.kill()
    parent.communicate()
    assert read_run(folder).state == "running"
    run_all([folder])
    assert "is run by another process" in capfd.readouterr().out
    wait_for(lambda: not lock_is_held(folder / ".lock"))
    assert read_run(folder).state == "done"
    run_all([folder])
    assert updates(folder) == list(range(1, 11))


def test_a_job_ends_with_the_sweep_that_started_it(tmp_path):
    sweep = tmp_path / "s"
    (folder,) = make_sweep(sweep, [["updates=1000", "seconds=0.1"]])
    parent = in_another_process(sweep)
    wait_for(lambda: (folder / UPDATES).exists())
    parent.kill()
    parent.communicate()
    wait_for(lambda: not lock_is_held(folder / ".lock"), seconds=5)
    assert read_run(folder).state == "unfinished"


def test_ctrl_c_ends_the_job_tidily_and_the_sweep(tmp_path):
    sweep = tmp_path / "s"
    folders = make_sweep(sweep, [["updates=1000", "seconds=0.1"], []])
    parent = in_another_process(sweep)
    wait_for(lambda: (folders[0] / UPDATES).exists())
    parent.send_signal(signal.SIGINT)
    said, _ = parent.communicate(timeout=30)
    assert "interrupted; the next start goes on with it" in said
    assert [read_run(folder).state for folder in folders] == ["unfinished", "missing"]
    assert "KeyboardInterrupt" in (folders[0] / "output.log").read_text()


def kill_until_done(sweep: Path, pauses: list[float]) -> None:
    """Start the sweep and kill now it, now a job, again and again; the last start is spared."""
    folders = sorted(path.parent for path in sweep.glob("*/job.json"))
    for number, pause in enumerate(pauses):
        parent = in_another_process(sweep)
        time.sleep(pause)
        job = next(filter(None, map(pid_of, folders)), None)
        if number % 2 and job is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(job, signal.SIGKILL)
            time.sleep(0.05)
        parent.kill()
        parent.communicate()
    parent = in_another_process(sweep)
    said, _ = parent.communicate(timeout=120)
    assert parent.returncode == 0, said


def check_whole(sweep: Path, whole: Path) -> None:
    """Every job done once, no update left out, results as in the sweep nobody killed."""
    for folder in sorted(path.parent for path in sweep.glob("*/job.json")):
        facts = read_run(folder)
        assert facts.state in SETTLED
        assert facts.summary == read_run(whole / folder.name).summary
        made = updates(folder)
        assert sorted(set(made)) == list(range(1, 31))
        # It goes back to a checkpoint, never farther, and never leaves one out.
        for before, after in zip(made, made[1:]):
            assert after == before + 1 or (after <= before and after % 3 == 1)
        assert not (folder / CLASH).exists()


PAUSES = [
    [0.35, 0.5, 0.42, 0.6],
    pytest.param([0.25 + 0.05 * n for n in range(12)], marks=pytest.mark.slow),
    pytest.param([0.3] * 15, marks=pytest.mark.slow),
    pytest.param([0.4, 0.41, 0.42, 0.43, 0.44, 0.45] * 3, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("pauses", PAUSES, ids=len)
def test_killed_anywhere_and_started_again_all_jobs_are_done_once(tmp_path, pauses):
    jobs = [["updates=30"]] * 3
    for name in ("whole", "killed"):
        make_sweep(tmp_path / name, jobs)
    run_all(sorted(path.parent for path in (tmp_path / "whole").glob("*/job.json")))
    kill_until_done(tmp_path / "killed", pauses)
    check_whole(tmp_path / "killed", tmp_path / "whole")
