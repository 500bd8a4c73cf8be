"""A GPU or some cores for each job alone, whoever starts the jobs."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from tests.experiments.stand_in import CLASH
from tests.experiments.stand_in_sweep import in_another_process, make_sweep, run_all

from gnnpack.experiments import devices
from gnnpack.experiments import gpus as gpus_module
from gnnpack.experiments.devices import (
    Request,
    Share,
    core_numbers,
    device_share,
    refuse_too_many,
    share_folder,
    threads,
    too_many,
)
from gnnpack.experiments.gpus import gpu_numbers, own_names
from gnnpack.experiments.locks import take_lock


@pytest.fixture(autouse=True)
def _shares_of_this_test(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(devices, "WAIT_SECONDS", 0.01)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield
    tempfile.tempdir = None


@pytest.fixture
def gpus(monkeypatch):
    return lambda number: monkeypatch.setenv("GNNPACK_FAKE_GPUS", str(number))


def test_a_job_sees_its_gpus_alone(gpus):
    gpus(4)
    with device_share(Request("gpu")) as one, device_share(Request("gpu", 2)) as two:
        assert (one.label, one.environment) == ("cuda:0", {"CUDA_VISIBLE_DEVICES": "0"})
        assert (two.label, two.environment) == ("cuda:1,cuda:2", {"CUDA_VISIBLE_DEVICES": "1,2"})
        assert len(two.locks) == 2


def test_a_job_that_wants_nothing_gets_all(gpus):
    with device_share(Request()) as share:
        assert share == Share(None, {}, (), ())


def test_gpus_are_those_cuda_may_see(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-8f2a/x,5")
    assert gpu_numbers() == ["3", "GPU-8f2a/x", "5"]
    with device_share(Request("gpu", 2)) as share:
        assert share.environment == {"CUDA_VISIBLE_DEVICES": "3,GPU-8f2a/x"}
    # Chosen by number, among those: the job itself counts from what can be seen.
    with device_share(Request("gpu", numbers=[2, 0])) as share:
        assert (share.label, share.environment) == ("cuda:5,cuda:3", {})
    for none in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", none)
        assert gpu_numbers() == []


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Put a program of these lines of shell in its place."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)

    def nvidia_smi(*lines: str) -> None:
        program.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        program.chmod(0o755)

    return nvidia_smi


def test_gpus_are_listed_by_nvidia_smi(nvidia_smi):
    nvidia_smi("echo 'GPU 0: NVIDIA X (UUID: a)'", "echo 'GPU 1: NVIDIA Y'")
    assert gpu_numbers() == ["0", "1"]
    nvidia_smi("exit 9")
    assert gpu_numbers() == []


def test_a_gpu_is_one_whatever_it_is_called(nvidia_smi, monkeypatch):
    listed = ("GPU 0: X (UUID: GPU-8f2a-1)", "GPU 1: X (UUID: GPU-8f2b-2)", "GPU 2: X")
    nvidia_smi(*(f"echo '{line}'" for line in listed))
    names = ["0", "GPU-8f2b-2", "GPU-8f2a", "2", "MIG-1", "GPU-8f2"]
    own = ["GPU-8f2a-1", "GPU-8f2b-2", "GPU-8f2a-1", "2", "MIG-1", "GPU-8f2"]
    assert list(own_names(names).values()) == own
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with device_share(Request("gpu")) as share:
        assert share.environment == {"CUDA_VISIBLE_DEVICES": "0"}
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8f2a-1")
        with pytest.raises(KeyboardInterrupt), device_share(Request("gpu"), lambda: True):
            pass
    with device_share(Request("gpu"), lambda: True) as share:
        assert share.environment == {"CUDA_VISIBLE_DEVICES": "GPU-8f2a-1"}


def test_nvidia_smi_that_hangs_is_not_no_gpu(nvidia_smi, monkeypatch):
    monkeypatch.setattr(gpus_module, "NVIDIA_SMI_SECONDS", 0.1)
    nvidia_smi("exec sleep 5")
    with pytest.raises(ValueError, match=r"has not answered in 0 s.*CUDA_VISIBLE_DEVICES= "):
        gpu_numbers()


@pytest.mark.parametrize("behind", ["the device", "another that waits"])
def test_who_waits_notices_that_its_sweep_has_ended(gpus, behind):
    gpus(1)
    name = {"the device": "gpu-0.lock", "another that waits": "gpu.queue"}[behind]
    held = take_lock(share_folder() / name)
    asked = []
    with pytest.raises(KeyboardInterrupt), device_share(
        Request("gpu"), lambda: asked.append(1) or len(asked) == 3
    ):
        pass
    assert len(asked) == 3
    os.close(held)
    # It has left nothing behind.
    with device_share(Request("gpu"), lambda: True):
        pass


def test_more_than_there_is_is_refused(gpus):
    gpus(2)
    assert too_many(Request("gpu", 2)) is too_many(Request("gpu", numbers=[0, 1])) is None
    for request in (Request("gpu", 3), Request("gpu", numbers=[2])):
        with pytest.raises(ValueError, match="job 1 wants 3 GPUs to itself and this machine has 2"):
            refuse_too_many(request, "job 1")
    many = len(core_numbers()) + 1
    with pytest.raises(ValueError, match=f"wants {many} cores"), device_share(
        Request("cores", many)
    ):
        pass


def test_cores_are_shared_out():
    cores = core_numbers()
    with device_share(Request("cores", len(cores), processes=len(cores))) as share:
        assert list(share.cores) == cores
        assert share.environment == threads(1)
        assert share.environment["OMP_NUM_THREADS"] == "1"


def test_no_share_is_given_twice_and_several_are_taken_without_deadlock(gpus):
    gpus(4)
    used: dict[str, int] = {}
    clashes = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(6):
            with device_share(Request("gpu", rng.choice([1, 2, 3, 4]))) as share:
                names = share.environment["CUDA_VISIBLE_DEVICES"].split(",")
                clashes.extend(name for name in names if used.setdefault(name, seed) != seed)
                used.update(dict.fromkeys(names, seed))
                threading.Event().wait(0.002)
                for name in names:
                    used.pop(name)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
        assert not worker.is_alive()
    assert clashes == []


def test_sweeps_side_by_side_never_share_a_gpu(tmp_path, gpus):
    gpus(2)
    shared = tmp_path / "shared"
    shared.mkdir()
    for name in ("a", "b", "c"):
        make_sweep(tmp_path / name, [["updates=4", "seconds=0.03", f"shared={shared}"]] * 2)
    sweeps = [in_another_process(tmp_path / name, "gpu", "1") for name in ("a", "b", "c")]
    for sweep in sweeps:
        assert sweep.communicate(timeout=60)
        assert sweep.returncode == 0
    assert not (shared / CLASH).exists()
    labels = {f.status["device"] for name in "abc" for f in done(tmp_path / name)}
    assert labels == {"cuda:0", "cuda:1"}


def done(sweep: Path) -> list:
    return run_all(sorted(path.parent for path in sweep.glob("*/job.json")))


def test_a_job_keeps_its_gpu_when_its_sweep_is_killed(tmp_path, gpus):
    gpus(1)
    sweep = tmp_path / "s"
    (folder,) = make_sweep(sweep, [["orphan=1", "updates=1000"]])
    parent = in_another_process(sweep, "gpu", "1")
    while not (folder / "updates.txt").exists():
        pass
    parent.kill()
    parent.communicate()
    code = (
        "from gnnpack.experiments.devices import *\n"
        "import gnnpack.experiments.devices as d\n"
        "with device_share(Request('gpu')): print('taken')"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    with pytest.raises(subprocess.TimeoutExpired):
        other.communicate(timeout=1.0)
    os.kill(json.loads((folder / "state.json").read_text())["pid"], 9)
    assert other.communicate(timeout=60)[0] == b"taken\n"


def test_cores_of_a_job_are_those_of_its_share(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (folder,) = make_sweep(tmp_path / "s", [["updates=1", f"shared={shared}"]])
    before = os.sched_getaffinity(0)
    (facts,) = run_all([folder], device=Request("cores", 1))
    assert facts.status["device"] == f"cores {core_numbers()[0]}"
    assert os.sched_getaffinity(0) == before


def test_a_folder_of_somebody_else_is_not_used(monkeypatch):
    folder = share_folder()
    assert folder.stat().st_mode & 0o077 == 0
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    (folder.parent / f"gnnpack-devices-{os.getuid()}").mkdir()
    with pytest.raises(ValueError, match="belongs to another user; set TMPDIR"):
        share_folder()


def test_a_link_is_not_used(tmp_path):
    (tmp_path / f"gnnpack-devices-{os.getuid()}").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="belongs to another user"):
        share_folder()
