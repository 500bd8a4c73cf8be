from __future__ import annotations

import logging

import numpy as np
import pytest
from made_molecules import make_dataset

from gnnpack.store import count_pairs, open_store, pair_counts, store


def count_by_hand(pos, offsets, cutoff):
    counts = []
    for first, last in zip(offsets, offsets[1:]):
        atoms = pos[first:last].astype(float)
        near = [np.linalg.norm(a - b) <= cutoff for i, a in enumerate(atoms) for b in atoms[:i]]
        counts.append(sum(near))
    return counts


@pytest.mark.parametrize("compiled", [True, False])
def test_agrees_with_loops(tmp_path, monkeypatch, compiled):
    molecules = make_dataset(tmp_path).molecules
    if compiled:
        pytest.importorskip("numba")
    else:
        monkeypatch.setattr(pair_counts, "_compiled", lambda: None)
    counts = count_pairs(molecules.pos, molecules.offsets, 2.0)
    assert counts.dtype == np.int32
    assert counts.tolist() == count_by_hand(molecules.pos, molecules.offsets, 2.0)
    assert 0 < counts.sum() < (molecules.num_atoms * (molecules.num_atoms - 1) // 2).sum()


def test_never_fewer_than_float32_finds():
    random = np.random.RandomState(0)
    direction = random.normal(size=(2000, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    pos = np.zeros((2000, 2, 3), dtype=np.float32)
    pos[:, 0] = random.uniform(-9, 9, (2000, 3))
    pos[:, 1] = pos[:, 0] + (6.0 * direction).astype(np.float32)
    offset = pos[:, 1] - pos[:, 0]
    float32 = np.sqrt((offset * offset).sum(axis=1)) <= np.float32(6.0)
    assert 0 < float32.sum() < 2000
    counts = count_pairs(pos.reshape(-1, 3), np.arange(0, 4001, 2), 6.0)
    assert (counts >= float32).all()


def test_counted_once_and_kept(tmp_path, monkeypatch):
    dataset = make_dataset(tmp_path)
    opened = open_store(dataset, tmp_path / "store")
    counts = opened.num_pairs(2.5)
    kept = tmp_path / "store/made/num_pairs_2500.npy"
    assert np.array_equal(np.load(kept), counts)
    monkeypatch.setattr(store, "count_pairs", lambda *_: pytest.fail("counted again"))
    assert np.array_equal(open_store(dataset, tmp_path / "store").num_pairs(2.5), counts)
    assert opened.num_pairs(2.5) is counts


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", None])
def test_damaged_counts_are_counted_again(tmp_path, caplog, content):
    dataset = make_dataset(tmp_path)
    counts = open_store(dataset, tmp_path / "store").num_pairs(2.5)
    kept = tmp_path / "store/made/num_pairs_2500.npy"
    kept.write_bytes(kept.read_bytes()[:-4] if content is None else content)
    assert np.array_equal(open_store(dataset, tmp_path / "store").num_pairs(2.5), counts)
    assert "counting again" in caplog.text
    assert np.array_equal(np.load(kept), counts)


def test_read_only_folder_keeps_counts_in_memory(tmp_path, monkeypatch, caplog):
    opened = open_store(make_dataset(tmp_path), tmp_path / "store")

    def refuse(*_arguments):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(store.os, "replace", refuse)
    with caplog.at_level(logging.INFO):
        counts = opened.num_pairs(2.5)
    assert "stay in memory" in caplog.text
    assert opened.num_pairs(2.5) is counts


@pytest.mark.parametrize("cutoff", [0.0, -1.0, 2.00049, float("nan"), float("inf")])
def test_cutoffs_that_are_none(tmp_path, cutoff):
    opened = open_store(make_dataset(tmp_path), tmp_path / "store")
    with pytest.raises(ValueError, match="whole thousandths"):
        opened.num_pairs(cutoff)


def test_a_cutoff_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="cutoff is 'abc'"):
        pair_counts.cutoff_in_milliangstrom("abc")
