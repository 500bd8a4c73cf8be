"""What is no checkpoint is told in one sentence of ours."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from gnnpack.run import load_checkpoint


def save(path: Path, kind: str) -> None:
    """A file that people take for a checkpoint."""
    if kind == "objects":
        torch.save({"path": path}, path)
    elif kind == "cut off":
        torch.save({"weights": torch.zeros(3)}, path)
        path.write_bytes(path.read_bytes()[:-20])
    else:
        path.write_text(kind)


# Of these torch's reader raises errors of many kinds.
TEXTS = ['{"test_mae": 1.0}\n', "step,train/loss\n0,1.0\n", "data  synthetic, 80 molecules\n", ""]


@pytest.mark.parametrize("kind", ["objects", "cut off", *TEXTS], ids=repr)
def test_what_is_no_checkpoint_is_told_without_torch_s_words(tmp_path, kind):
    path = tmp_path / "some"
    save(path, kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="is no checkpoint, or a damaged one") as refused:
            load_checkpoint(path)
    words = str(refused.value)
    assert words.startswith(str(path))
    assert "best.ckpt and last.ckpt" in words
    assert "weights_only" not in words
    assert "\n" not in words


def test_another_archive_is_no_checkpoint(tmp_path):
    np.savez(tmp_path / "split.npz", ids=np.arange(3))
    with pytest.raises(ValueError, match=r"split\.npz cannot be read as a checkpoint"):
        load_checkpoint(tmp_path / "split.npz")
