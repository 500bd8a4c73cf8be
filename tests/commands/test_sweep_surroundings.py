"""What a sweep's jobs are told, and what around a sweep may go wrong without harm to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from lightning_fabric.plugins.environments import SLURMEnvironment
from omegaconf import OmegaConf

from gnnpack.commands.errors import errors_for_people, wants_tracebacks
from gnnpack.commands.launchers import job_environment, refuse_tasks
from gnnpack.commands.resume import resumed_config
from gnnpack.commands.sweep_task import command
from gnnpack.experiments import run_job
from gnnpack.experiments.job import Job, write_job
from gnnpack.experiments.locks import take_lock
from gnnpack.experiments.run_state import state_of
from tests.commands.test_sweep_command import ROOT, SWEEP_OF_STAND_INS, jobs_of
from tests.experiments.stand_in_sweep import make_sweep, run_all
from tests.run.conftest import SMALL

SLURM = "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"


def test_a_reader_that_has_gone_stops_no_job(folder, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    words = ["train", "-m", *SMALL, "seed=0,1,2"]
    program = SWEEP_OF_STAND_INS.replace("updates=1000", "updates=2")
    with subprocess.Popen(
        [sys.executable, "-c", program, *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline().startswith("sweep seed: 3 jobs")
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 0, said
    assert "Broken pipe" not in said
    assert [one.state for one in jobs_of(folder / "outputs" / "sweeps" / "seed")] == ["done"] * 3


def test_jobs_say_what_people_read_unless_the_user_wants_it_all(monkeypatch):
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    with errors_for_people("train"):
        assert os.environ["HYDRA_FULL_ERROR"] == "1"
        assert not wants_tracebacks()
        assert dict(job_environment())["HYDRA_FULL_ERROR"] == "0"
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with errors_for_people("train"):
        assert wants_tracebacks()
        assert "HYDRA_FULL_ERROR" not in dict(job_environment())


def test_jobs_import_from_where_the_sweep_does(monkeypatch):
    monkeypatch.setattr(sys, "path", ["/where/train.py/lies", *sys.path])
    monkeypatch.setenv("PYTHONPATH", "/else")
    told = dict(job_environment())
    assert told["PYTHONPATH"] == os.pathsep.join(["/where/train.py/lies", "/else"])
    assert told["PYTHONSAFEPATH"] == "1"


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info < (3, 11), reason="python -m looks into the folder first")
def test_a_module_in_the_working_folder_is_not_taken_for_python_s(train, folder):
    (folder / "statistics.py").write_text("raise ImportError('of the working folder')\n")
    train("-m", "seed=0", "trainer.max_epochs=1")
    assert [one.state for one in jobs_of(folder / "outputs" / "sweeps" / "jobs")] == ["done"]


def test_a_job_of_slurm_starts_its_ranks_itself(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "1")
    monkeypatch.setenv("SLURM_JOB_NAME", "train")
    launcher = OmegaConf.create({"_target_": SLURM, "tasks_per_node": 1, "nodes": 1})
    assert SLURMEnvironment.detect()
    for name, value in job_environment():
        monkeypatch.setenv(name, value)
    assert not SLURMEnvironment.detect()
    refuse_tasks(launcher)
    for key in ("tasks_per_node", "nodes"):
        with pytest.raises(ValueError, match=f"{key} is 2; a job is one process"):
            refuse_tasks(OmegaConf.merge(launcher, {key: 2}))


def test_a_job_that_its_sweep_runs_is_not_gone_on_with_by_hand(gnnpack, trained):
    write_job(trained, Job("sweep", "0" * 12, 1, []))
    before = (trained / "metrics.csv").read_bytes()
    lock = take_lock(trained / ".lock")
    try:
        with pytest.raises(SystemExit, match="its sweep runs this job now"):
            gnnpack("train", f"resume={trained}")
    finally:
        os.close(lock)
    assert (trained / "metrics.csv").read_bytes() == before


def test_a_run_goes_on_where_its_data_moved(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    dataset = {"path": "/old/mine.xyz", "others": ["/old", "/older/mine.xyz"]}
    OmegaConf.save(
        {"data_dir": "/old", "dataset": dataset, "resume": None}, tmp_path / "config.yaml"
    )
    now = OmegaConf.create({"data_dir": "/new", "resume": str(tmp_path)})
    kept, _ = resumed_config(now, ["data_dir=/new", f"resume={tmp_path}"])
    assert kept.data_dir == "/new"
    assert kept.dataset == {"path": "/new/mine.xyz", "others": ["/new", "/older/mine.xyz"]}
    job = Job("sweep", "0" * 12, 1, ["seed=0", "data_dir=/new"])
    assert command(job, tmp_path, goes_on=True)[-1] == "data_dir=/new"
    assert len(command(job, tmp_path, goes_on=True)) == 6


def test_what_did_not_learn_is_done_where_it_need_not():
    status = {"state": "failed", "exit_status": 0, "reason": "did not learn: ..."}
    summary = {"test_mae": 2.0, "baseline_mae": 1.0}

    def state(must_learn: bool, status: dict) -> str:
        return state_of(
            job={"must_learn": must_learn},
            status=status,
            summary=summary,
            live={},
            locked=lambda: False,
            started=lambda: True,
            now=0.0,
        )[0]

    assert state(True, status) == "failed"
    assert state(False, status) == "done"
    assert state(False, {**status, "exit_status": 1}) == "failed"


@pytest.mark.skipif(not hasattr(os, "umask"), reason="no permissions")
def test_who_may_write_into_a_folder_may_take_its_locks(tmp_path):
    before = os.umask(0o002)
    try:
        os.close(take_lock(tmp_path / ".lock"))
    finally:
        os.umask(before)
    assert (tmp_path / ".lock").stat().st_mode & 0o777 == 0o664


def test_a_job_s_end_stands_whatever_comes_after_it(tmp_path, monkeypatch):
    def broken(facts) -> str:
        raise OSError("after the end")

    folders = make_sweep(tmp_path / "sweep", [["updates=1"]])
    monkeypatch.setattr(run_job, "outcome", broken)
    with pytest.raises(OSError, match="after the end"):
        run_all(folders)
    assert json.loads((folders[0] / "state.json").read_text())["state"] == "done"
