"""Stores built in parts: the bytes of one reading, however often the build was killed."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from made_in_parts import make_in_parts
from made_molecules import make_dataset

from gnnpack.store import Store, open_store, part_chunks, parts, progress

PLACES = ["chunk0", "chunk1", "chunk3", "chunk6", "marking", "merging", "manifest", "renaming"]


def content(folder):
    """All bytes of a store but those that name its creation."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def whole(tmp_path_factory):
    """The store as one reading makes it."""
    folder = tmp_path_factory.mktemp("whole")
    open_store(make_dataset(folder), folder / "store")
    return content(folder / "store" / "made")


def columns(files):
    return {name: raw for name, raw in files.items() if name.endswith(".npy")}


def kill_at(tmp_path, place):
    script = os.path.join(os.path.dirname(__file__), "made_in_parts.py")
    done = subprocess.run([sys.executable, script, str(tmp_path), place], check=False)
    assert done.returncode == -signal.SIGKILL, "the build did not come so far"


@pytest.mark.parametrize("forces", [False, True])
@pytest.mark.parametrize("threads", [1, 3])
def test_parts_give_the_bytes_of_one_reading(tmp_path, threads, forces, monkeypatch):
    monkeypatch.setattr(parts, "num_threads", lambda: threads)
    monkeypatch.setattr(part_chunks.part_chunks, "__defaults__", (3,))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    in_parts = make_in_parts(tmp_path / "a", forces)
    store = open_store(in_parts, tmp_path / "store")
    store.verify()
    one = open_store(make_dataset(tmp_path / "b", forces), tmp_path / "one")
    assert columns(content(tmp_path / "store" / "made")) == columns(
        content(tmp_path / "one" / "made")
    )
    assert store.fingerprint == one.fingerprint
    assert sorted(in_parts.started) == [0, 1, 2, 3]
    assert sorted(os.listdir(tmp_path / "store")) == [".made.lock", "made"]


@pytest.mark.parametrize("place", PLACES)
def test_a_killed_build_leaves_nothing_that_opens_and_goes_on(tmp_path, whole, place):
    kill_at(tmp_path, place)
    root = tmp_path / "store"
    with pytest.raises(FileNotFoundError):
        Store(root / "made")
    kept = [name for name in os.listdir(root / ".made.parts") if is_marked(root, name)]
    expected = {"chunk0": 0, "chunk1": 0, "chunk3": 2, "chunk6": 2, "marking": 2}
    # Parts may be finished while earlier ones are merged.
    assert len(kept) == expected.get(place, 4)
    dataset = make_in_parts(tmp_path)
    open_store(dataset, root).verify()
    assert sorted(dataset.started) == [k for k in range(4) if f"part{k}" not in kept]
    assert columns(content(root / "made")) == columns(whole)
    assert sorted(os.listdir(root)) == [".made.lock", "made"]


def is_marked(root, name):
    return (root / ".made.parts" / name / parts.MARK).exists()


def test_killed_again_and_again(tmp_path, whole):
    for place in ["chunk1", "chunk2", "chunk3", "manifest", "renaming"]:
        kill_at(tmp_path, place)
    dataset = make_in_parts(tmp_path)
    open_store(dataset, tmp_path / "store").verify()
    assert dataset.started == []
    assert columns(content(tmp_path / "store" / "made")) == columns(whole)


def test_parts_left_beside_a_whole_store_go(tmp_path, whole):
    kill_at(tmp_path, "clearing")
    root = tmp_path / "store"
    assert columns(content(root / "made")) == columns(whole)
    assert (root / ".made.parts").exists()
    open_store(make_in_parts(tmp_path), root)
    assert not (root / ".made.parts").exists()


def change_raw(tmp_path):
    (tmp_path / "made.raw").write_text("other")


def flip_a_byte(tmp_path):
    path = tmp_path / "store" / ".made.parts" / "part1" / "pos.npy"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(bytes(raw))


def spoil_a_mark(tmp_path):
    (tmp_path / "store" / ".made.parts" / "part1" / parts.MARK).write_text("[]")


@pytest.mark.parametrize(
    "spoil, read_again", [(change_raw, [0, 1, 2, 3]), (flip_a_byte, [1, 3]), (spoil_a_mark, [1, 3])]
)
def test_parts_of_another_build_or_damaged_ones_are_read_again(
    tmp_path, whole, spoil, read_again, caplog
):
    kill_at(tmp_path, "chunk8")
    spoil(tmp_path)
    dataset = make_in_parts(tmp_path)
    with caplog.at_level(logging.INFO):
        open_store(dataset, tmp_path / "store")
    assert sorted(dataset.started) == read_again
    assert columns(content(tmp_path / "store" / "made")) == columns(whole)
    assert ("2 of 4 parts of made were read before" in caplog.text) == (len(read_again) == 2)


def test_an_error_in_a_part_stops_the_others_and_keeps_what_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "num_threads", lambda: 4)
    dataset = make_in_parts(tmp_path)
    ended = threading.Event()

    def read(number, first, last, original=dataset.read_part):
        if number == 3:
            while not ended.wait(0.01):
                yield from original(number, first, last)
        if number == 1:
            raise ValueError("part1 is damaged")
        yield from original(number, first, last)

    dataset.read_part = read
    # Part 3 goes on for ever, unless it is stopped.
    with pytest.raises(ValueError, match="part1 is damaged"):
        open_store(dataset, tmp_path / "store")
    ended.set()
    assert is_marked(tmp_path / "store", "part0")
    assert not (tmp_path / "store" / "made").exists()
    again = make_in_parts(tmp_path)
    open_store(again, tmp_path / "store")
    assert 0 not in again.started


def test_counts_are_checked(tmp_path):
    dataset = make_in_parts(tmp_path)
    dataset.expected_molecules = 61
    with pytest.raises(ValueError, match="read 60 molecules where 61 are expected"):
        open_store(dataset, tmp_path / "store")
    assert not (tmp_path / "store" / "made").exists()


def test_room_for_parts_and_store_is_asked_for(tmp_path, monkeypatch):
    dataset = make_in_parts(tmp_path)
    atoms = len(dataset.molecules.z)
    dataset.expected_molecules, dataset.expected_atoms = 60, atoms
    one_store = 13 * atoms + 60 * 8 * 4
    usage = type("Usage", (), {"free": 2 * one_store - 1})
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: usage)
    with pytest.raises(OSError, match="only 0 MB are free"):
        open_store(dataset, tmp_path / "store")
    usage.free += 1
    open_store(dataset, tmp_path / "store")


@pytest.mark.parametrize("first, last", [(0, 60), (13, 14)])
def test_chunks_of_a_part_in_blocks(tmp_path, first, last):
    store = open_store(make_dataset(tmp_path, forces=True), tmp_path / "store")
    for block in (1, 7, 100):
        chunks = list(part_chunks.part_chunks(store.path, store.manifest.columns, block))
        rows = [len(chunk.ids) for chunk in chunks]
        assert max(rows) <= block
        assert np.concatenate([chunk.pos for chunk in chunks]).tobytes() == store.pos.tobytes()
        assert store.forces.tobytes() == b"".join(chunk.forces.tobytes() for chunk in chunks)
        sizes = np.concatenate([np.diff(chunk.offsets) for chunk in chunks])
        assert sizes[first:last].tolist() == store.num_atoms[first:last].tolist()


def test_the_bar_counts_every_molecule_once(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(progress, "_nothing", told.append)
    open_store(make_in_parts(tmp_path), tmp_path / "store")
    assert sum(told) == 60
    (tmp_path / "other").mkdir()
    open_store(make_dataset(tmp_path / "other"), tmp_path / "other")
    assert sum(told) == 120


def test_a_bar_is_drawn_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    with progress.building_bar("hydronet-large", 200_000) as advance:
        advance(200_000)
    assert "hydronet-large" in capsys.readouterr().err
