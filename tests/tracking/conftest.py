"""W&B runs on this disk, without an account."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from wandb_runs import JOB, log_part, wait_for_end
from wandb_server import WandbServer

from gnnpack.tracking import finish_wandb
from gnnpack.tracking.wandb_parts import find_local_runs


@pytest.fixture
def no_wandb_account(monkeypatch, tmp_path):
    """No key, home or proxy; an empty working folder; no W&B run is left open."""
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("NETRC", str(tmp_path / "no_netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield
    finish_wandb()


@pytest.fixture(scope="session")
def logged(tmp_path_factory) -> Path:
    """A resumed job of a sweep (its first part was stopped after its last checkpoint) and a run."""
    folder = tmp_path_factory.mktemp("logged")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.setenv("WANDB_ERROR_REPORTING", "false")
        job = folder / "outputs" / "job"
        job.mkdir(parents=True)
        (job / "job.json").write_text(json.dumps(JOB))
        log_part(job, [(0, 1.0), (10, 0.9), (20, 0.8)], exit_code=1, seed=0, max_epochs=1)
        # Its folder is named by the second it began in.
        time.sleep(1.1)
        log_part(job, [(20, 0.7), (30, 0.6)], resume_step=15, seed=0, max_epochs=2)
        log_part(folder / "outputs" / "plain", [(0, 3.0)], seed=7)
    for part in find_local_runs([folder])[0].parts:
        wait_for_end(part)
    return folder / "outputs"


@pytest.fixture
def outputs(logged, tmp_path) -> Path:
    """A copy of `logged`."""
    shutil.copytree(logged, tmp_path / "outputs")
    return tmp_path / "outputs"


@pytest.fixture
def server(monkeypatch):
    """A W&B server on this machine, and a key for it."""
    found = WandbServer()
    monkeypatch.setenv("WANDB_BASE_URL", found.url)
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    yield found
    found.close()
