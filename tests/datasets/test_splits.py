from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnpack.datasets import Split, SplitSpec, load_split, make_split, save_split

IDS = np.array([11, 3, 8, 25, 4, 90, 17, 2, 60, 31])


@settings(deadline=None)
@given(
    ids=st.lists(st.integers(0, 10**12), min_size=3, max_size=60, unique=True),
    train=st.sampled_from([0.34, 0.4, 0.45]),
    val=st.sampled_from([0.34, 0.45, 0.5]),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_molecule_is_in_one_part(ids, train, val, seed):
    split = make_split(ids, train=train, val=val, seed=seed)
    assert sorted(np.concatenate(split).tolist()) == list(range(len(ids)))
    assert [len(split.train), len(split.val)] == [int(train * len(ids)), int(val * len(ids))]


@given(order=st.permutations(range(10)), seed=st.integers(0, 100))
def test_order_of_rows_does_not_matter(order, seed):
    order = np.array(order)
    split = make_split(IDS, train=5, val=3, seed=seed)
    shuffled = make_split(IDS[order], train=5, val=3, seed=seed)
    for part, other in zip(split, shuffled):
        assert set(IDS[part]) == set(IDS[order][other])


def test_seed_decides_and_is_frozen():
    # Literal ids: a split must be the same on every machine and in every version of numpy.
    split = make_split(IDS, train=5, val=3, seed=0)
    assert [sorted(IDS[part].tolist()) for part in split] == FROZEN
    assert make_split(IDS, train=5, val=3, seed=1).train.tolist() != split.train.tolist()


FROZEN = [[3, 4, 11, 60, 90], [8, 25, 31], [2, 17]]


def test_a_given_test_size_leaves_molecules_out():
    assert [len(part) for part in make_split(IDS, train=2, val=1, test=3)] == [2, 1, 3]
    assert [len(part) for part in make_split(IDS, train=0.5, val=0.2, test=0.1)] == [5, 2, 1]
    assert [len(part) for part in make_split(np.arange(100), train=0.29, val=1)] == [29, 1, 70]


@pytest.mark.parametrize(
    "sizes, message",
    [
        ({"train": 9, "val": 2}, "only 10 molecules"),
        ({"train": 5, "val": 3, "test": 3}, "only 10 molecules"),
        ({"train": 0, "val": 2}, "split.train is 0"),
        ({"train": -3, "val": 2}, "split.train is -3"),
        ({"train": 5, "val": 1.5}, "split.val is 1.5"),
        ({"train": 5, "val": None}, "split.val is None"),
        ({"train": True, "val": 2}, "split.train is True"),
        ({"train": "many", "val": 2}, "split.train is 'many'"),
        ({"train": 5, "val": 0.05}, "leaves none"),
    ],
)
def test_sizes_that_do_not_fit(sizes, message):
    with pytest.raises(ValueError, match=message):
        make_split(IDS, **sizes)


def test_ids_must_differ():
    with pytest.raises(ValueError, match="id 3 occurs twice"):
        make_split([1, 3, 3], train=1, val=1)


def test_saved_split_comes_back(tmp_path):
    split = make_split(IDS, train=5, val=3, seed=4)
    path = str(tmp_path / "split.npz")
    save_split(split, IDS, path)
    again = make_split(IDS, train=1, val=1, file=path)
    for part, other in zip(split, again):
        assert part.tolist() == other.tolist()
    assert isinstance(again, Split)


def test_split_from_json(tmp_path):
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"train": [11, 2], "val": [90]}))
    split = load_split(str(path), IDS)
    assert [part.tolist() for part in split] == [[0, 7], [5], []]


@pytest.mark.parametrize(
    "lists, message",
    [
        ({"train": [11, 12345], "val": [2]}, r"1 of 2 ids in 'train' .* \[12345\]"),
        ({"train": [11, 2], "val": [2]}, "a molecule occurs twice"),
        ({"train": [11, 2]}, "but not val"),
        ({"train": [1.5], "val": [2]}, "whole numbers"),
        ([1, 2], "cannot be read as a split"),
    ],
)
def test_bad_lists(tmp_path, lists, message):
    path = tmp_path / "split.json"
    path.write_text(json.dumps(lists))
    with pytest.raises(ValueError, match=message):
        load_split(str(path), IDS)


def test_no_list(tmp_path):
    with pytest.raises(ValueError, match="is not a file"):
        load_split(str(tmp_path / "none.npz"), IDS)
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be read as a split"):
        load_split(str(tmp_path / "bad.npz"), IDS)


def test_spec_takes_any_mapping():
    omegaconf = pytest.importorskip("omegaconf")
    node = omegaconf.OmegaConf.create({"train": 110000, "val": 10000, "test": None, "file": None})
    assert SplitSpec.parse(node) == SplitSpec(110000, 10000)
    with pytest.raises(ValueError, match="unknown key trian"):
        SplitSpec.parse({"trian": 3})
