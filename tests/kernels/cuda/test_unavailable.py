"""Each reason why the Triton kernels cannot be used has its own sentence."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import sysconfig

import pytest
import torch

from gnnpack.kernels.cuda import availability


@pytest.fixture
def capable(monkeypatch, tmp_path):
    """A machine with everything, whatever this one has."""
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Device")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(availability, "version", lambda name: "3.6.0")
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    monkeypatch.delenv("CC", raising=False)
    availability.unavailable.cache_clear()
    yield monkeypatch
    availability.unavailable.cache_clear()


def test_nothing_is_missing_where_all_is_there(capable):
    assert availability.unavailable() is None


@pytest.mark.parametrize(
    "place, name, value, words",
    [
        (torch.cuda, "is_available", lambda: False, "no CUDA device"),
        (torch.cuda, "get_device_capability", lambda: (7, 5), "7.5"),
        (importlib.util, "find_spec", lambda name: None, "pip install triton"),
        (availability, "version", lambda name: "2.0.0", "Triton 2.0.0 is too old"),
        (shutil, "which", lambda name: None, "install gcc"),
        (sysconfig, "get_paths", lambda: {"include": "/nowhere"}, "python3-dev"),
    ],
)
def test_what_is_missing_is_named(capable, place, name, value, words):
    capable.setattr(place, name, value)
    assert words in availability.unavailable()


def test_a_compiler_named_in_vain_is_named_back(capable):
    capable.setenv("CC", "nocc -O1")
    capable.setattr(shutil, "which", lambda name: None)
    assert "'nocc -O1'" in availability.unavailable()


def test_the_answer_is_kept(capable):
    assert availability.unavailable() is None
    capable.setattr(torch.cuda, "is_available", lambda: False)
    assert availability.unavailable() is None


def test_importing_the_room_needs_neither_triton_nor_numba():
    code = (
        "import sys; sys.modules['triton'] = sys.modules['numba'] = None\n"
        "import gnnpack.kernels, gnnpack.kernels.cuda\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
