from __future__ import annotations

import sys
import time

import pytest
from tiny_run import Clock, fit

from gnnpack.tracking import finish_wandb, wandb_logger


@pytest.fixture(autouse=True)
def _quiet_and_without_key(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("NETRC", str(tmp_path / "no_netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    yield
    finish_wandb()


def holds_soon(file, text):
    # wandb.finish returns some milliseconds before wandb's own process has written the file.
    for _ in range(500):
        if text in file.read_bytes():
            return True
        time.sleep(0.01)
    return False


def test_two_jobs_and_a_resume_each_leave_a_closed_offline_run(tmp_path):
    import wandb

    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second, first):
        folder.mkdir(exist_ok=True)
        # The second job starts without anyone closing the first.
        logger = wandb_logger(folder, project="test", name=folder.name, config={"seed": 1})
        fit(folder, real=[2, 2], callbacks=[], clock=Clock(), logger=logger)
    finish_wandb()
    assert wandb.run is None
    kept = (first / "wandb_id.txt").read_text().strip()
    runs = sorted((first / "wandb").glob(f"offline-run-*/run-{kept}.wandb"))
    assert runs
    assert all(holds_soon(file, b"train/loss") for file in runs)
    assert len(list((second / "wandb").glob("offline-run-*"))) == 1
    assert (second / "wandb_id.txt").read_text().strip() != kept


def test_online_without_key_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="wandb login"):
        wandb_logger(tmp_path, project="test", name="x", offline=False)


def test_missing_wandb_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ValueError, match="pip install wandb"):
        wandb_logger(tmp_path, project="test", name="x")


def test_an_impossible_id_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'a/b'"):
        wandb_logger(tmp_path, project="test", name="x", run_id="a/b")
