"""Runs of which a start was killed before W&B wrote anything, or refused; and paths to one part."""

from __future__ import annotations

import os

import pytest
from wandb_runs import Sent, log_part, not_running, records, rows_of, wait_for_end

from gnnpack.commands.wandb import sync
from gnnpack.tracking import wandb_sync as syncing
from gnnpack.tracking.wandb_file import HEAD, MAGIC, read_records, write_records
from gnnpack.tracking.wandb_join import joined_records
from gnnpack.tracking.wandb_parts import RESUMED_AT, Part, find_local_runs
from gnnpack.tracking.wandb_sync import sync_runs, upload_by_wandb

pytestmark = pytest.mark.usefixtures("no_wandb_account")

# What a hard kill leaves of a log before its first block is full.
LEFT = {"head": HEAD.pack(*MAGIC), "half a head": HEAD.pack(*MAGIC)[:3], "empty": b"", "none": None}


def kill(part: Part, left: str) -> None:
    """Leave of the part's log what a hard kill did."""
    content = LEFT[left]
    if content is None:
        part.file.unlink()
        return
    part.file.write_bytes(content)
    os.utime(part.file, (0, 0))


def losses(run) -> list[float]:
    return [row["train/loss"] for row in rows_of(joined_records(run.parts))]


def refuse_a_start(run) -> None:
    """A later part as refused starts once left it: no row, a setting of its own, exit code 1."""
    last = run.parts[-1]
    folder = last.folder.with_name(f"offline-run-29990101_000000-{run.run_id}")
    folder.mkdir()
    kept = []
    for kind, record in records(read_records(last.file)):
        if kind == "exit":
            record.exit.exit_code = 1
        if kind != "history":
            kept.append(record.SerializeToString())
    write_records(folder / last.file.name, kept)
    (folder / RESUMED_AT).write_text("15\n")
    os.utime(folder / last.file.name, (0, 0))


@pytest.mark.parametrize("left", LEFT)
def test_the_rest_of_a_run_is_sent_that_was_killed_at_once(outputs, left):
    kill(find_local_runs([outputs / "job"])[0].parts[0], left)
    run = find_local_runs([outputs / "job"])[0]
    sent = Sent()
    assert [one.state for one in sync_runs([run], sent, not_running)] == ["uploaded"]
    assert len(sent) == 1
    found = list(records(joined_records(run.parts)))
    (begun,) = [record.run for kind, record in found if kind == "run"]
    assert (begun.run_id, begun.run_group) == (run.run_id, "packers")
    assert losses(run) == [0.7, 0.6]
    assert [record.exit.exit_code for kind, record in found if kind == "exit"] == [0]


def test_the_real_client_takes_the_rest(outputs, server):
    kill(find_local_runs([outputs / "job"])[0].parts[0], "head")
    run = find_local_runs([outputs / "job"])[0]
    found = list(sync_runs([run], upload_by_wandb, not_running))
    assert [one.state for one in found] == ["uploaded"], found
    assert [row["train/loss"] for row in server.rows[run.run_id]] == [0.7, 0.6]
    assert server.exit_codes[run.run_id] == [0]


def test_a_later_start_that_was_killed_at_once_takes_no_row_away(outputs):
    kill(find_local_runs([outputs / "job"])[0].parts[1], "head")
    run = find_local_runs([outputs / "job"])[0]
    assert run.parts[1].resumed_at == 15
    assert losses(run) == [1.0, 0.9, 0.8]


def test_a_log_that_is_missing_is_not_missed_later(outputs, monkeypatch):
    monkeypatch.setattr(syncing, "COUNT_SECONDS", 0.0)
    kill(find_local_runs([outputs / "job"])[0].parts[0], "none")
    run = find_local_runs([outputs / "job"])[0]
    list(sync_runs([run], Sent(), not_running))
    # As if it had gone on.
    run.parts[1].mark.unlink()
    found = list(sync_runs([run], Sent(), not_running, lambda *words: 2))
    assert [one.state for one in found] == ["uploaded"], found


@pytest.mark.parametrize("left", ["head", "empty"])
def test_a_run_of_which_nothing_was_written_has_not_failed(outputs, capsys, left):
    kill(find_local_runs([outputs / "plain"])[0].parts[0], left)
    sent = Sent()
    assert sync([str(outputs / "plain")], sent, lambda: None) == 0
    told = capsys.readouterr().out
    assert "empty: nothing of it was written before it was killed" in told
    assert "1 empty." in told
    assert sent == []


def test_a_log_that_is_still_empty_goes_on(outputs):
    part = find_local_runs([outputs / "plain"])[0].parts[0]
    part.file.write_bytes(b"")
    found = sync_runs(find_local_runs([outputs / "plain"]), Sent(), not_running)
    assert [one.state for one in found] == ["running"]


def test_a_refused_start_changes_nothing_of_a_run_that_ended_well(outputs):
    whole = list(joined_records(find_local_runs([outputs / "job"])[0].parts))
    refuse_a_start(find_local_runs([outputs / "job"])[0])
    run = find_local_runs([outputs / "job"])[0]
    assert len(run.parts) == 3
    assert list(joined_records(run.parts)) == whole


def test_a_refused_start_after_the_upload_changes_nothing_there(outputs, server):
    list(sync_runs(find_local_runs([outputs / "job"]), upload_by_wandb, not_running))
    refuse_a_start(find_local_runs([outputs / "job"])[0])
    run = find_local_runs([outputs / "job"])[0]
    found = list(sync_runs([run], upload_by_wandb, not_running))
    assert [one.state for one in found] == ["uploaded"], found
    assert [row["train/loss"] for row in server.rows[run.run_id]] == [1.0, 0.9, 0.7, 0.6]
    assert set(server.exit_codes[run.run_id]) == {0}


def test_a_run_that_logs_nothing_leaves_no_part(tmp_path):
    log_part(tmp_path / "run", [], exit_code=1)
    assert find_local_runs([tmp_path]) == []
    assert not (tmp_path / "run" / "wandb_id.txt").exists()


@pytest.mark.parametrize("named", ["folder", "file", "link", "inside"])
def test_a_path_to_one_part_stands_for_its_run(outputs, named):
    job = find_local_runs([outputs / "job"])[0]
    part = job.parts[1]
    link = outputs / "latest-run"
    link.symlink_to(part.folder)
    paths = {
        "folder": part.folder,
        "file": part.file,
        "link": link,
        "inside": part.folder / "files",
    }
    (found,) = find_local_runs([paths[named]])
    assert found.run_id == job.run_id
    assert [one.folder.name for one in found.parts] == [one.folder.name for one in job.parts]
    sent = Sent()
    assert sync([str(paths[named])], sent, lambda: None) == 0
    assert len(sent) == 1


def test_another_run_in_the_same_folder_is_not_taken_along(tmp_path):
    run = tmp_path / "run"
    log_part(run, [(0, 1.0)])
    (run / "wandb_id.txt").write_text("other\n")
    log_part(run, [(0, 2.0)])
    found = {one.run_id: one.parts[0] for one in find_local_runs([run])}
    assert len(found) == 2
    for part in found.values():
        wait_for_end(part)
    assert [one.run_id for one in find_local_runs([found["other"].folder])] == ["other"]
