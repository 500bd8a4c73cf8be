"""Two processes train what one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch

from gnnpack.run import load_checkpoint
from tests.run.conftest import SMALL

CODE = "from gnnpack.commands.main import main; main()"


@pytest.mark.skipif(
    torch.__version__.startswith("2.0."),
    reason="torchmetrics gathers from a rank without molecules only with torch 2.1",
)
def test_two_ranks_equal_one(tmp_path):
    """Through the console command: the ranks Lightning starts must find their way back to it."""
    settings = ("accelerator.precision=64-true", "optimizer=sgd", "optimizer.lr=1e-2")
    # One thread each: two processes share the machine.
    settings += ("schedule=constant", "accelerator.num_threads=1")
    found = []
    for devices in (1, 2):
        places = (f"accelerator.devices={devices}", f"hydra.run.dir={tmp_path}/{devices}")
        done = subprocess.run(
            [sys.executable, "-c", CODE, "train", *SMALL, *settings, *places],
            cwd=tmp_path,
            env={**os.environ, "GNNPACK_DATA": str(tmp_path / "data")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        folder = tmp_path / str(devices)
        summary = json.loads((folder / "summary.json").read_text())
        found.append((summary, load_checkpoint(folder / "checkpoints" / "last.ckpt")))
    (one, first), (two, second) = found
    assert one["updates"] == two["updates"]
    for key in ("test_mae", "val_mae", "baseline_mae"):
        assert abs(one[key] - two[key]) < 1e-6 * one[key], key
    for name, tensor in first["state_dict"].items():
        torch.testing.assert_close(second["state_dict"][name], tensor, rtol=1e-7, atol=1e-9)
