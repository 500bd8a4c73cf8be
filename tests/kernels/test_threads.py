"""Every task is done once, by whichever threads there are."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
import torch

from gnnpack.kernels import find_pairs, threads

numba = pytest.importorskip("numba")


@pytest.fixture(scope="module")
def counting():
    """An entry point that adds 1 to the place of each task, and counts its own callers."""
    from gnnpack.kernels.threads import ARGUMENTS, TASKS, next_task, pointer

    @numba.cfunc("void(voidptr)")
    def entry(data):
        numbers = numba.carray(data, 16, np.int64)
        done = numba.carray(pointer(numbers[ARGUMENTS]), numbers[TASKS], np.int64)
        while True:
            task = next_task(data)
            if task >= numbers[TASKS]:
                break
            done[task] += numbers[ARGUMENTS + 1]

    return entry


@pytest.fixture
def torch_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("python_threads", [False, True])
@pytest.mark.parametrize("num_threads", [1, 2, 3, 8])
@pytest.mark.parametrize("num_tasks", [0, 1, 2, 7, 16, 1000])
def test_every_task_is_done_once(
    counting, torch_threads, monkeypatch, python_threads, num_threads, num_tasks
):
    if python_threads:
        monkeypatch.setattr(threads, "_torch_team", lambda: None)
    torch_threads(num_threads)
    done = np.zeros(num_tasks, dtype=np.int64)
    for _ in range(5):
        threads.run(counting, num_tasks, done.ctypes.data, 3)
    assert (done == 15).all()


def test_no_more_threads_enter_than_torch_has_or_tasks_are(torch_threads, monkeypatch):
    asked = []
    monkeypatch.setattr(threads, "_torch_team", lambda: lambda *call: asked.append(call[2]))
    torch_threads(3)
    for num_tasks in (2, 3, 16):
        threads.run(type("Entry", (), {"address": 0}), num_tasks)
    assert asked == [2, 3, 3]


def test_torch_keeps_its_number_of_threads(batch, torch_threads):
    """numba's own parallel loops changed it."""
    torch_threads(2)
    find_pairs(batch.pos, batch.molecule_slot, batch.atom_mask, 3.0)
    assert torch.get_num_threads() == 2


@pytest.mark.skipif(
    not list((threads.Path(torch.__file__).parent / "lib").glob("libgomp*")),
    reason="this torch computes with another OpenMP library",
)
def test_the_team_is_torchs_own():
    assert threads._torch_team() is not None


def test_machine_code_older_than_any_source_is_removed(tmp_path):
    """numba itself would keep it as long as the entry point's own file is unchanged."""
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    for name, age in (("entry.py", 300), ("loops.py", 100)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    files = {"old.nbi": 200, "old.1.nbc": 200, "new.nbi": 50, "entry.cpython.pyc": 400}
    for name, age in files.items():
        (cache / name).write_text("")
        os.utime(cache / name, (time.time() - age,) * 2)
    threads.remove_older_code(tmp_path)
    assert sorted(path.name for path in cache.iterdir()) == ["entry.cpython.pyc", "new.nbi"]
