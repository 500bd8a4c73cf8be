from __future__ import annotations

import struct

import numpy as np
import pytest

from gnnpack.tracking import loss_curves, pack_fill, predicted_against_true
from gnnpack.tracking.csv_metrics import MetricsFile


def png_size(file):
    data = file.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(data) > 10_000
    return struct.unpack(">II", data[16:24])


@pytest.mark.parametrize("size", [1, 300, 5000])
def test_predicted_against_true(tmp_path, size):
    random = np.random.default_rng(0)
    true = random.normal(-10.0, 3.0, size)
    file = tmp_path / "figures" / "parity.png"
    predicted_against_true(true + random.laplace(0, 0.05, size), true, "eV", file, "QM9 U0")
    assert png_size(file) == (1500, 690)


def test_pack_fill(tmp_path):
    pack_fill(np.array([36, 36, 35, 20]), 36, np.array([2, 2, 3, 1]), tmp_path / "fill.png")
    assert png_size(tmp_path / "fill.png") == (1500, 630)


@pytest.mark.parametrize("steps", [3, 500])
def test_loss_curves(tmp_path, steps):
    file = MetricsFile(tmp_path / "metrics.csv")
    for step in range(steps):
        file.add({"train/loss": 1.0 / (step + 1), "updates": 4 * step}, step)
    loss_curves(tmp_path / "metrics.csv", tmp_path / "one.png")
    assert png_size(tmp_path / "one.png") == (750, 600)
    file.add({"val/mae": 0.5, "updates": 4 * steps}, steps)
    loss_curves(tmp_path / "metrics.csv", tmp_path / "two.png", unit="eV")
    assert png_size(tmp_path / "two.png") == (1500, 600)


def test_bad_input_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"predicted\[1\] is nan"):
        predicted_against_true([1.0, np.nan], [1.0, 2.0], "eV", tmp_path / "x.png")
    with pytest.raises(ValueError, match="1 predictions and 2 true"):
        predicted_against_true([1.0], [1.0, 2.0], "eV", tmp_path / "x.png")
    with pytest.raises(ValueError, match="0 and 0 packs"):
        pack_fill([], 36, [], tmp_path / "x.png")
    (tmp_path / "metrics.csv").write_text("step,lr\n0,1\n")
    with pytest.raises(ValueError, match="'train/loss' or 'val/mae'; it has"):
        loss_curves(tmp_path / "metrics.csv", tmp_path / "x.png")
