from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from made_molecules import make_dataset

from gnnpack.store import building, open_store


@pytest.fixture
def dataset(tmp_path):
    return make_dataset(tmp_path)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "store"


def test_leftovers_of_a_killed_build_go(dataset, root):
    leftover = root / ".made.building"
    leftover.mkdir(parents=True)
    (leftover / "z.npy").write_bytes(b"half")
    open_store(dataset, root)
    assert sorted(path.name for path in root.iterdir()) == [".made.lock", "made"]


class Killed(BaseException):
    """Like SIGINT: no `except Exception` sees it."""


def test_killed_build_leaves_nothing_that_opens(dataset, root, monkeypatch):
    def stop(*_arguments):
        raise Killed

    monkeypatch.setattr(building.ChunkWriter, "close", stop)
    with pytest.raises(Killed):
        open_store(dataset, root)
    assert not (root / "made").exists()
    monkeypatch.undo()
    assert open_store(dataset, root).num_molecules == 60


BUILDER = """
import sys, time
sys.path.insert(0, {tests!r})
from made_molecules import make_dataset
from gnnpack.store import open_store
dataset = make_dataset({folder!r})
chunks = dataset.chunks
def slow():
    open({folder!r} + "/started", "w").close()
    for chunk in chunks():
        time.sleep(0.1)
        yield chunk
dataset.chunks = slow
print(open_store(dataset, {folder!r} + "/store").num_molecules, dataset.times_read)
"""


def start_builder(tmp_path):
    code = BUILDER.format(tests=os.path.dirname(__file__), folder=str(tmp_path))
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def wait_for(path):
    until = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until, f"{path} did not appear"
        time.sleep(0.01)


def test_two_processes_build_once(tmp_path):
    make_dataset(tmp_path)
    builders = [start_builder(tmp_path) for _ in range(2)]
    said = sorted(builder.communicate(timeout=60)[0].split() for builder in builders)
    assert said == [["60", "0"], ["60", "1"]]


def test_process_killed_in_the_middle(tmp_path, dataset, root):
    with start_builder(tmp_path) as builder:
        wait_for(tmp_path / "started")
        builder.kill()
    assert (root / ".made.building").exists()
    assert not (root / "made").exists()
    open_store(dataset, root).verify()
    assert not (root / ".made.building").exists()
