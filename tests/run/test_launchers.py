"""The scripts for several machines, as far as one machine can try them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gnnpack.run import load_checkpoint
from tests.run.conftest import SMALL

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = (
    *SMALL,
    "accelerator.precision=64-true",
    "accelerator.num_threads=1",
    "optimizer=sgd",
    "optimizer.lr=1e-2",
    "schedule=constant",
    "model.filter=exact",
)

# What `srun` does for two tasks on one machine: starts each with its number in its variables.
FAKE_SRUN = """#!/usr/bin/env bash
set -euo pipefail
pids=()
for task in 0 1; do
  SLURM_PROCID=$task SLURM_LOCALID=$task "$@" & pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid"; done
"""
SLURM = {
    "SLURM_JOB_ID": "4711",
    "SLURM_JOB_NAME": "gnnpack",
    "SLURM_NTASKS": "2",
    "SLURM_NTASKS_PER_NODE": "2",
    "SLURM_NNODES": "1",
    "SLURM_NODEID": "0",
    "SLURM_NODELIST": "localhost",
    "SLURM_JOB_NODELIST": "localhost",
}

pytestmark = pytest.mark.skipif(
    torch.__version__.startswith("2.0."),
    reason="torchmetrics gathers from a rank without molecules only with torch 2.1",
)


def launch(folder: Path, command: list[str], more: dict[str, str]) -> tuple[dict, dict]:
    """Run in the repository; the summary and the last weights."""
    place = f"hydra.run.dir={folder}/run"
    environment = {**os.environ, "GNNPACK_DATA": str(folder / "data"), "PYTHON": sys.executable}
    done = subprocess.run(
        [*command, *SETTINGS, place],
        cwd=ROOT,
        env={**environment, **more},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    summary = json.loads((folder / "run" / "summary.json").read_text())
    return summary, load_checkpoint(folder / "run" / "checkpoints" / "last.ckpt")["state_dict"]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun", "slurm"])
def test_two_tasks_train_what_one_process_does(tmp_path, launcher):
    alone = launch(tmp_path / "one", [sys.executable, "train.py"], {})
    if launcher == "torchrun":
        more = {"DEVICES": "2"}
    else:
        fake = tmp_path / "bin" / "srun"
        fake.parent.mkdir()
        fake.write_text(FAKE_SRUN)
        fake.chmod(0o755)
        more = {**SLURM, "PATH": f"{fake.parent}:{os.environ['PATH']}"}
    folder = tmp_path / launcher
    together = launch(folder, [f"scripts/{launcher}.sh"], more)
    assert together[0]["updates"] == alone[0]["updates"]
    for key in ("test_mae", "val_mae"):
        assert together[0][key] == pytest.approx(alone[0][key], rel=1e-6), key
    for name, value in alone[1].items():
        torch.testing.assert_close(together[1][name], value, rtol=1e-11, atol=1e-12)
    # Rank 0 alone writes.
    assert {path.name for path in folder.iterdir()} == {"run", "data"}


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").glob("*.sh")), ids=lambda p: p.name)
def test_scripts_are_whole(script):
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert os.access(script, os.X_OK)
