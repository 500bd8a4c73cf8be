"""Every task is done once, by whichever threads there are."""

from __future__ import annotations

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


def test_kept_machine_code_is_named_by_all_that_is_compiled_in(monkeypatch, tmp_path):
    """numba itself would use it as long as the entry point's own file is unchanged."""
    for name in ("threads.py", "loops.py"):
        (tmp_path / name).write_text("before")
    monkeypatch.setattr(threads, "__file__", str(tmp_path / "threads.py"))
    digests = [threads._digest_of_sources()]
    (tmp_path / "loops.py").write_text("behind")
    digests.append(threads._digest_of_sources())
    monkeypatch.setattr(threads, "processor_features", lambda: "+other")
    digests.append(threads._digest_of_sources())
    assert len(set(digests)) == 3
    assert threads.compile_entry(_nothing)._pyfunc.__qualname__ == f"_nothing_{threads.DIGEST}"


def _nothing(data):
    pass


def test_without_a_folder_for_machine_code_it_is_compiled_and_said(monkeypatch, caplog):
    def cfunc(signature, cache=False):
        if cache:
            raise RuntimeError("cannot cache function 'f': no locator available")
        return lambda function: "compiled"

    monkeypatch.setattr(threads, "cfunc", cfunc)
    threads._warn_of_no_folder.cache_clear()
    assert threads.compile_entry.__wrapped__(_nothing) == "compiled"
    assert "NUMBA_CACHE_DIR" in caplog.text
