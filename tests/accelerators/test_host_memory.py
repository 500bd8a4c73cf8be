"""malloc is told to keep what is freed; where it cannot be told, a run goes on all the same."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import pytest

from gnnpack.accelerators import host_memory


def test_both_thresholds_are_raised(monkeypatch):
    told = {}

    def mallopt(option, value):
        told[option] = value
        return 1

    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    assert host_memory.keep_freed_memory()
    assert told.keys() == {host_memory.M_TRIM_THRESHOLD, host_memory.M_MMAP_THRESHOLD}
    assert min(told.values()) >= 2**30


@pytest.mark.parametrize("library", [SimpleNamespace(), SimpleNamespace(mallopt=lambda o, v: 0)])
def test_another_c_library_is_no_error(monkeypatch, library):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    assert not host_memory.keep_freed_memory()
