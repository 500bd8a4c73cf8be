"""Memory at its highest, of calls whose need is known."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from gnnpack.bench import peak_memory as room
from gnnpack.bench.peak_memory import Job, peak_memory

linux = pytest.mark.skipif(not room._can_tell(), reason="needs Linux's /proc/self/clear_refs")


def test_python_objects_are_traced():
    assert room._traced_peak(list, range(100_000)) == pytest.approx(4e6, rel=0.3)


def test_without_proc_nothing_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_CLEAR", tmp_path / "nowhere" / "clear_refs")
    assert peak_memory([]) is None


@linux
@pytest.mark.slow
def test_in_a_process_of_its_own():
    jobs = [
        Job(partial(int, 5_000_000), [np.ones, np.empty]),
        Job(partial(np.ones, 5_000_000), [np.std]),
        Job(partial(range, 100_000), [], [list]),
    ]
    (ones, empty), (freed,), (traced,) = peak_memory(jobs)
    assert ones == pytest.approx(40e6, abs=1e6)
    assert empty < 1e6, "memory that nobody touches is none"
    assert freed == pytest.approx(40e6, abs=1e6), "memory that was freed again counts"
    assert traced == pytest.approx(4e6, rel=0.3)


@linux
@pytest.mark.slow
def test_a_call_that_fails_is_said(capfd):
    with pytest.raises(RuntimeError, match="measuring memory failed"):
        peak_memory([Job(partial(int, -1), [np.ones])])
    assert "negative dimensions" in capfd.readouterr().err
