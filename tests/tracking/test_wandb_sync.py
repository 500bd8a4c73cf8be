"""Offline runs of the real client, read back, joined, and uploaded to a server on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Sequence

import pytest
from wandb_runs import Sent, log_part, not_running, records, rows_of

from gnnpack.tracking import wandb_sync as syncing
from gnnpack.tracking.wandb_client import check_online
from gnnpack.tracking.wandb_file import BLOCK, read_records, write_records
from gnnpack.tracking.wandb_join import joined, joined_records
from gnnpack.tracking.wandb_parts import find_local_runs
from gnnpack.tracking.wandb_sync import UploadError, sync_runs, upload_by_wandb

pytestmark = pytest.mark.usefixtures("no_wandb_account")


def test_a_sweep_s_run_is_closed_grouped_and_named(logged):
    job = next(run for run in find_local_runs([logged]) if run.run_dir.name == "job")
    last = dict(records(read_records(job.parts[1].file)))
    run = last["run"].run
    config = {one.key: json.loads(one.value_json) for one in run.config.update}
    assert (run.run_group, run.job_type) == ("packers", "sweep")
    assert run.display_name == "packing packer=lpfhp seed=0"
    assert list(run.tags) == ["packing", "packers"]
    assert (config["seed"], config["max_epochs"]) == (0, 2)
    assert run.run_id == job.run_id == (job.run_dir / "wandb_id.txt").read_text().strip()
    assert [row["train/loss"] for row in rows_of(read_records(job.parts[1].file))] == [0.7, 0.6]
    assert last["exit"].exit.exit_code == 0
    first = dict(records(read_records(job.parts[0].file)))
    assert first["exit"].exit.exit_code == 1


def test_the_parts_join_as_if_the_run_had_never_stopped(logged):
    job = next(run for run in find_local_runs([logged]) if run.run_dir.name == "job")
    assert [part.resumed_at for part in job.parts] == [None, 15]
    contents = list(joined_records(job.parts))
    rows = rows_of(contents)
    # The first part's row of update 20 came after the checkpoint at 15.
    assert [row["train/loss"] for row in rows] == [1.0, 0.9, 0.7, 0.6]
    assert [row["trainer/global_step"] for row in rows] == [0, 10, 20, 30]
    assert [row["_step"] for row in rows] == [0, 1, 2, 3]
    assert sorted(row["_runtime"] for row in rows) == [row["_runtime"] for row in rows]
    found = list(records(contents))
    assert [record.num for _, record in found] == list(range(1, len(found) + 1))
    assert [record.exit.exit_code for kind, record in found if kind == "exit"] == [0]
    changed = [record.config for kind, record in found if kind == "config" and record.config.update]
    assert any(
        one.key == "max_epochs" and one.value_json == "2" for c in changed for one in c.update
    )


def test_records_of_any_size_are_read_back(tmp_path):
    contents = [b"", b"a" * 10, b"b" * BLOCK, b"c" * (3 * BLOCK + 5), b"d" * (BLOCK - 30)] * 2
    write_records(tmp_path / "x.wandb", contents)
    assert list(read_records(tmp_path / "x.wandb")) == contents


def test_a_file_that_was_cut_off_is_read_up_to_there(logged, tmp_path):
    file = find_local_runs([logged / "plain"])[0].parts[0].file
    content = file.read_bytes()
    whole = list(read_records(file))
    cut = tmp_path / "cut.wandb"
    cut.write_bytes(content[:-5])
    assert list(read_records(cut)) == whole[:-1]
    # What wandb wrote is written the same again.
    write_records(cut, whole)
    assert cut.read_bytes() == content


def test_a_file_of_another_form_is_refused(tmp_path):
    (tmp_path / "x.wandb").write_bytes(b"something else")
    with pytest.raises(ValueError, match="wandb sync"):
        list(read_records(tmp_path / "x.wandb"))


def test_every_run_is_uploaded_once(outputs):
    sent = Sent()
    for _ in range(2):
        list(sync_runs(find_local_runs([outputs]), sent, not_running))
    assert len(sent) == 2
    assert not any(run.waits for run in find_local_runs([outputs]))
    # W&B's own client sees them as uploaded too.
    assert len(list(outputs.rglob("*.wandb.synced"))) == 3


def test_what_was_uploaded_before_an_interruption_is_not_uploaded_again(outputs, monkeypatch):
    monkeypatch.setattr(syncing, "COUNT_SECONDS", 0.0)
    sent = Sent()

    def interrupted_at_the_second(folder: Path, keep_open: Sequence[int]) -> None:
        if sent:
            raise KeyboardInterrupt
        sent.append(folder)

    with pytest.raises(KeyboardInterrupt):
        list(sync_runs(find_local_runs([outputs]), interrupted_at_the_second, not_running))
    assert [run.run_dir.name for run in find_local_runs([outputs]) if run.waits] == ["plain"]
    asked: list[tuple] = []

    def nothing_there(*words: str) -> int:
        asked.append(words)
        return 0

    list(sync_runs(find_local_runs([outputs]), sent, not_running, nothing_there))
    assert len(sent) == 2
    assert [words[0] for words in asked] == ["p"]


def test_one_that_fails_stops_no_other_and_waits(outputs):
    def refuses_the_joined_one(folder: Path, keep_open: Sequence[int]) -> None:
        if "gnnpack_wandb_" in str(folder):
            raise UploadError("no room")

    found = list(sync_runs(find_local_runs([outputs]), refuses_the_joined_one, not_running))
    assert {one.run.run_dir.name: (one.state, one.reason) for one in found} == {
        "job": ("failed", "no room"),
        "plain": ("uploaded", ""),
    }
    assert [run.run_dir.name for run in find_local_runs([outputs]) if run.waits] == ["job"]


def test_what_runs_is_left_alone(outputs):
    sent = Sent()
    found = list(sync_runs(find_local_runs([outputs]), sent, lambda folder: True))
    assert [one.state for one in found] == ["running", "running"]
    # Without a word of the run itself: a log without an end, just written.
    file = find_local_runs([outputs / "plain"])[0].parts[0].file
    file.write_bytes(file.read_bytes()[:-5])
    found = list(sync_runs(find_local_runs([outputs / "plain"]), sent, not_running))
    assert [one.state for one in found] == ["running"]
    os.utime(file, (0, 0))
    list(sync_runs(find_local_runs([outputs / "plain"]), sent, not_running))
    assert len(sent) == 1


def test_two_uploads_at_once_do_not_send_the_same(outputs):
    sent = Sent()
    second: list[str] = []

    def meanwhile(folder: Path, keep_open: Sequence[int]) -> None:
        sent.append(folder)
        again = sync_runs(find_local_runs([outputs / "plain"]), sent, not_running)
        second.extend(one.state for one in again)

    list(sync_runs(find_local_runs([outputs / "plain"]), meanwhile, not_running))
    assert (len(sent), second) == (1, ["busy"])


def test_a_part_that_was_uploaded_and_deleted_is_missed(outputs):
    runs = find_local_runs([outputs / "job"])
    list(sync_runs(runs, Sent(), not_running))
    shutil.rmtree(runs[0].parts[0].folder)
    runs[0].parts[1].mark.unlink()
    left = find_local_runs([outputs / "job"])
    found = list(sync_runs(left, Sent(), not_running, lambda *words: 4))
    assert found[0].state == "failed"
    assert runs[0].parts[0].folder.name in found[0].reason


def steps_and_losses(server, run) -> list[tuple]:
    return [(row["_step"], row["train/loss"]) for row in server.rows[run.run_id]]


def test_the_real_client_uploads_a_resumed_run_as_one(outputs, server):
    check_online()
    job = find_local_runs([outputs / "job"])[0]
    found = list(sync_runs([job], upload_by_wandb, not_running))
    assert [one.state for one in found] == ["uploaded"], found
    assert steps_and_losses(server, job) == [(0, 1.0), (1, 0.9), (2, 0.7), (3, 0.6)]
    assert server.runs[job.run_id]["groupName"] == "packers"
    assert json.loads(server.runs[job.run_id]["config"])["max_epochs"]["value"] == 2
    assert server.exit_codes[job.run_id] == [0]
    # Nothing is left where it was started.
    assert not Path("wandb").exists()


def test_an_upload_that_was_interrupted_adds_no_row_twice(outputs, server, monkeypatch):
    monkeypatch.setattr(syncing, "COUNT_SECONDS", 0.0)
    job = find_local_runs([outputs / "job"])[0]

    def killed_after_it(folder: Path, keep_open: Sequence[int]) -> None:
        upload_by_wandb(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(sync_runs([job], killed_after_it, not_running))
    assert job.waits
    # Of the last row the server has not heard.
    del server.rows[job.run_id][-1]
    found = list(sync_runs([job], upload_by_wandb, not_running))
    assert [one.state for one in found] == ["uploaded"], found
    assert steps_and_losses(server, job) == [(0, 1.0), (1, 0.9), (2, 0.7), (3, 0.6)]
    assert server.exit_codes[job.run_id] == [0, 0]


def test_a_run_that_was_uploaded_and_then_resumed_gets_the_rest(outputs, server, tmp_path):
    job = find_local_runs([outputs / "job"])[0]
    later = job.parts[1].folder.rename(tmp_path / job.parts[1].folder.name)
    found = list(sync_runs(find_local_runs([outputs / "job"]), upload_by_wandb, not_running))
    assert [one.state for one in found] == ["uploaded"], found
    assert steps_and_losses(server, job) == [(0, 1.0), (1, 0.9), (2, 0.8)]
    later.rename(job.parts[1].folder)
    found = list(sync_runs(find_local_runs([outputs / "job"]), upload_by_wandb, not_running))
    assert [one.state for one in found] == ["uploaded"], found
    # Update 20 stays as it was sent; there is one row of it.
    assert steps_and_losses(server, job) == [(0, 1.0), (1, 0.9), (2, 0.8), (3, 0.6)]


def test_right_after_an_interruption_nothing_is_sent(outputs):
    job = find_local_runs([outputs / "job"])[0]

    def killed(folder: Path, keep_open: Sequence[int]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(sync_runs([job], killed, not_running))
    found = list(sync_runs([job], killed, not_running))
    assert [one.state for one in found] == ["busy"]


def age_note(run, seconds: float) -> None:
    """Make what is written down of a run older."""
    place = run.parts[0].folder.parent / syncing.SENT
    words = json.loads(place.read_text())
    for name in ("time", "ended"):
        if words[run.run_id].get(name) is not None:
            words[run.run_id][name] -= seconds
    place.write_text(json.dumps(words))


def test_a_long_upload_counts_from_its_interruption_on(outputs):
    job = find_local_runs([outputs / "job"])[0]

    def killed_after_a_minute(folder: Path, keep_open: Sequence[int]) -> None:
        age_note(job, 60)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(sync_runs([job], killed_after_a_minute, not_running))
    sent = Sent()
    assert [one.state for one in sync_runs([job], sent, not_running)] == ["busy"]
    age_note(job, 60)
    found = list(sync_runs([job], sent, not_running, lambda *words: 0))
    assert [one.state for one in found] == ["uploaded"]
    assert len(sent) == 1


def test_after_kill_9_its_client_s_rows_are_waited_for(outputs, monkeypatch):
    job = find_local_runs([outputs / "job"])[0]
    sent = Sent()
    with monkeypatch.context() as patch:

        def dies(*words) -> None:
            raise KeyboardInterrupt

        def killed(folder: Path, keep_open: Sequence[int]) -> None:
            # Nothing is written down any more.
            patch.setattr(syncing, "write_json", dies)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            list(sync_runs([job], killed, not_running))
    age_note(job, 3600)
    assert [one.state for one in sync_runs([job], sent, not_running)] == ["busy"]
    age_note(job, 60)
    found = list(sync_runs([job], sent, not_running, lambda *words: 0))
    assert [one.state for one in found] == ["uploaded"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks")
def test_a_client_that_outlives_the_command_holds_the_lock(outputs, monkeypatch, tmp_path):
    monkeypatch.setattr(syncing, "COUNT_SECONDS", 0.0)
    client = tmp_path / "client"
    # It leaves a process of its own behind.
    client.write_text(f"#!/bin/sh\nsleep 60 >/dev/null 2>&1 &\necho $! > {tmp_path}/pid\n")
    client.chmod(0o755)
    job = find_local_runs([outputs / "job"])[0]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(client))
        found = list(sync_runs([job], upload_by_wandb, not_running))
    pid = int((tmp_path / "pid").read_text())
    sent = Sent()
    try:
        assert [one.state for one in found] == ["failed"]
        found = list(sync_runs([job], sent, not_running, lambda *words: 0))
        assert [one.state for one in found] == ["busy"]
    finally:
        os.kill(pid, signal.SIGKILL)
    for _ in range(500):
        states = [one.state for one in sync_runs([job], sent, not_running, lambda *words: 0)]
        if states != ["busy"]:
            break
        time.sleep(0.01)
    assert (states, len(sent)) == (["uploaded"], 1)


def test_a_killed_run_is_uploaded_as_failed(outputs, server):
    run = find_local_runs([outputs / "plain"])[0]
    file = run.parts[0].file
    file.write_bytes(file.read_bytes()[:-5])
    os.utime(file, (0, 0))
    found = list(sync_runs([run], upload_by_wandb, not_running))
    assert [one.state for one in found] == ["uploaded"], found
    assert [row["train/loss"] for row in server.rows[run.run_id]] == [3.0]
    assert server.exit_codes[run.run_id] == [1]


def test_without_a_server_everything_waits(outputs, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    with pytest.raises(ValueError, match="does not answer"):
        check_online()
    # The server goes away after it was asked: the real client is given up.
    monkeypatch.setattr(syncing, "UPLOAD_SECONDS", 3.0)
    found = list(sync_runs(find_local_runs([outputs / "plain"]), upload_by_wandb, not_running))
    assert [one.state for one in found] == ["failed"]
    assert find_local_runs([outputs / "plain"])[0].waits


def test_without_a_key_there_is_a_sentence(outputs):
    with pytest.raises(ValueError, match="wandb login"):
        check_online()
    with pytest.raises(UploadError, match="API key"):
        upload_by_wandb(find_local_runs([outputs / "plain"])[0].parts[0].folder)


def test_a_joined_folder_is_gone_afterwards(outputs):
    with joined(find_local_runs([outputs / "job"])[0]) as folder:
        assert (folder / "files").is_dir()
        assert folder.name.startswith("offline-run-")
    assert not folder.exists()


def test_under_a_wandb_agent_the_run_has_the_agent_s_id(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    monkeypatch.setenv("WANDB_RUN_ID", "agentsid")
    log_part(tmp_path / "run", [(0, 1.0)])
    assert [run.run_id for run in find_local_runs([tmp_path])] == ["agentsid"]
    assert (tmp_path / "run" / "wandb_id.txt").read_text().strip() == "agentsid"
