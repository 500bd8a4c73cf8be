"""Where the CUDA kernels serve a model, and what is said where they do not."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gnnpack.models import SchNet, cuda_path
from tests.conftest import batch_of, make_source

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@pytest.mark.skipif(
    importlib.util.find_spec("triton") is None or sys.version_info < (3, 10),
    reason="Triton 3 is not installed; `make setup` installs it on Linux x86-64",
)
@pytest.mark.parametrize("kind", ["not slow", pytest.param("slow", marks=pytest.mark.slow)])
def test_the_path_in_the_interpreter(kind):
    """In a process of its own: Triton decides at import whether it interprets."""
    pytest_options = ["-q", "-p", "no:cacheprovider", "-m", kind]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *pytest_options, HERE / "cuda_values"],
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def on_a_gpu(dtype: torch.dtype = torch.float32) -> SimpleNamespace:
    """What is asked of a weight."""
    return SimpleNamespace(is_cuda=True, dtype=dtype)


@pytest.fixture(autouse=True)
def _fresh_warnings():
    cuda_path._warn_once.cache_clear()
    yield
    cuda_path._warn_once.cache_clear()


def test_a_cpu_is_no_gpu_and_nothing_is_said(caplog):
    assert not cuda_path.serves(torch.zeros(2))
    assert not caplog.messages


def test_a_gpu_with_everything_is_served(monkeypatch):
    monkeypatch.setattr(cuda_path, "unavailable", lambda: None)
    assert cuda_path.serves(on_a_gpu())


def test_the_reason_is_told_once(monkeypatch, caplog):
    monkeypatch.setattr(cuda_path, "unavailable", lambda: "No compiler: install gcc.")
    assert [cuda_path.serves(on_a_gpu()) for _ in range(3)] == [False] * 3
    (said,) = caplog.messages
    assert "plain torch" in said
    assert "No compiler: install gcc." in said


def test_other_precisions_are_told_with_the_cure(monkeypatch, caplog):
    monkeypatch.setattr(cuda_path, "unavailable", lambda: None)
    assert not cuda_path.serves(on_a_gpu(torch.float64))
    assert "accelerator.precision=32-true" in caplog.text


@pytest.mark.parametrize(
    "options, asked",
    [
        ({"filter": "tabulated"}, True),
        ({"filter": "tabulated", "compiled": False}, False),
        ({"filter": "tabulated", "neighbours": "dense"}, False),
        ({"filter": "exact"}, False),
        ({"filter": "tabulated", "num_interactions": 0}, False),
    ],
    ids=str,
)
def test_only_what_the_kernels_compute_asks_for_them(options, asked, monkeypatch):
    seen = []
    monkeypatch.setattr(cuda_path, "serves", lambda weight: bool(seen.append(weight)))
    SchNet(4, **{"num_interactions": 1, **options})(batch_of(make_source(3)))
    assert bool(seen) == asked


def test_a_largest_molecule_without_atoms_is_refused():
    with pytest.raises(ValueError, match=r"model\.largest_molecule is 0"):
        SchNet(4, largest_molecule=0)
