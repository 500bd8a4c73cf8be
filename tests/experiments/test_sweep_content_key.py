"""The name of a job: the same for the same run, another for another."""

from __future__ import annotations

import copy
import json
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnpack.experiments.content_key import LEFT_OUT, content_key, what_counts

CONFIG = {
    "seed": 0,
    "cutoff": 6.0,
    "batch_size": 64,
    "shape": {"num_atoms": None, "num_pairs": None, "num_molecules": None},
    "data_dir": "data",
    "resume": None,
    "dataset": {
        "_target_": "QM9",
        "raw_dir": "data/raw/qm9",
        "split": {"train": 0.8, "file": None},
    },
    "model": {"hidden_channels": 100, "filter": {"tolerance": 1e-4, "order": "cubic"}},
    "optimizer": {"lr": 1e-3, "betas": [0.9, 0.999]},
    "accelerator": {"_target_": "cpu", "devices": 1, "executable_cache": None},
    "trainer": {"max_epochs": 5, "log_every_n_steps": 50, "enable_model_summary": False},
    "callbacks": {"best": {"_target_": "ModelCheckpoint", "save_top_k": 1}, "ema": None},
    "logger": {"_target_": "csv", "group": None},
}
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-100, 100),
    st.floats(allow_nan=False),
    st.text(max_size=5),
)


def leaves(node: object, path: tuple = ()) -> list[tuple]:
    """Paths of all values."""
    if isinstance(node, dict):
        return [leaf for name, child in node.items() for leaf in leaves(child, (*path, name))]
    return [path]


def with_value(config: dict, path: tuple, value: object) -> dict:
    changed = copy.deepcopy(config)
    node = changed
    for name in path[:-1]:
        node = node[name]
    node[path[-1]] = value
    return changed


def at(config: dict, path: tuple) -> object:
    for name in path:
        config = config[name]
    return config


def shuffled(node: object, rng: random.Random) -> object:
    if not isinstance(node, dict):
        return node
    names = list(node)
    rng.shuffle(names)
    return {name: shuffled(node[name], rng) for name in names}


def is_left_out(path: tuple) -> bool:
    dotted = ".".join(path)
    return any(dotted == out or dotted.startswith(f"{out}.") for out in LEFT_OUT)


def test_a_key_is_twelve_digits_and_stays_what_it_is():
    assert re.fullmatch("[0-9a-f]{12}", content_key(CONFIG))
    # A change here makes every sweep that people have done begin anew.
    assert content_key({"seed": 0, "optimizer": {"lr": 1e-3}}) == "99688dcfb47e"


@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(rng):
    assert content_key(shuffled(CONFIG, rng)) == content_key(CONFIG)


@given(st.sampled_from(leaves(CONFIG)), SCALARS)
def test_any_change_but_of_paths_and_looks_changes_the_key(path, value):
    changed = with_value(CONFIG, path, value)
    same = json.dumps(value) == json.dumps(at(CONFIG, path)) or is_left_out(path)
    # A callback that is null is none.
    same |= path == ("callbacks", "ema") and value is None
    assert (content_key(changed) == content_key(CONFIG)) == same


@given(st.sampled_from([path for path in leaves(CONFIG) if not is_left_out(path)]))
def test_a_value_that_goes_changes_the_key(path):
    changed = copy.deepcopy(CONFIG)
    node = changed
    for name in path[:-1]:
        node = node[name]
    del node[path[-1]]
    null_callback = path == ("callbacks", "ema")
    assert (content_key(changed) == content_key(CONFIG)) == null_callback


@pytest.mark.parametrize("place", ["data", "/elsewhere/data", "../d/"])
def test_data_that_are_moved_are_the_same_data(place):
    below = place.rstrip("/")
    moved = {**CONFIG, "data_dir": place}
    moved["dataset"] = {
        **CONFIG["dataset"],
        "raw_dir": f"{below}/raw/qm9",
        "path": f"{below}/a.xyz",
    }
    here = {**CONFIG, "dataset": {**CONFIG["dataset"], "path": "data/a.xyz"}}
    assert content_key(moved) == content_key(here)
    assert content_key(moved) != content_key(CONFIG)


def test_callbacks_that_only_watch_are_left_out():
    watched = copy.deepcopy(CONFIG)
    watched["callbacks"]["rates"] = {"_target_": "pytorch_lightning.callbacks.LearningRateMonitor"}
    assert content_key(watched) == content_key(CONFIG)
    watched["callbacks"]["stops"] = {"_target_": "pytorch_lightning.callbacks.EarlyStopping"}
    assert content_key(watched) != content_key(CONFIG)


def test_what_counts_leaves_the_config_as_it_is():
    before = copy.deepcopy(CONFIG)
    what_counts(CONFIG)
    assert before == CONFIG


def test_what_is_no_plain_value_is_named():
    with pytest.raises(ValueError, match=r"model\.filter is a object"):
        content_key({"model": {"filter": object()}})
