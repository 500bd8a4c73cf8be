"""Whole runs, small enough for seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnnpack.run import run

SMALL = (
    "experiment=smoke",
    "logger=csv",
    "dataset.num_molecules=80",
    "model.hidden_channels=8",
    "model.num_interactions=2",
    "model.num_gaussians=8",
    "batch_size=16",
    "trainer.max_epochs=2",
    "trainer.log_every_n_steps=1",
)


@pytest.fixture
def small(compose):
    """The config of a run of two epochs of 64 molecules."""
    return lambda *overrides: compose(*SMALL, *overrides)


@pytest.fixture
def finished(small, tmp_path) -> Path:
    """The folder of a finished small run."""
    folder = tmp_path / "finished"
    run(small(), folder)
    return folder
