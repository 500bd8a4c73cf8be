"""Which runs are one group, and what they are called."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.experiments.made_runs import make_run, make_runs

from gnnpack.experiments.find_runs import find_runs
from gnnpack.experiments.report_config import differing, flat, telling
from gnnpack.experiments.report_groups import drawn, group_runs
from gnnpack.experiments.report_labels import natural, shortened, unique


def test_runs_that_differ_in_seed_only_are_a_group(tmp_path):
    make_runs(tmp_path, 12, seeds=3)
    groups = group_runs(find_runs([tmp_path]))
    assert [len(group.runs) for group in groups] == [3, 3, 3, 3]
    for group in groups:
        assert len({run.config["packer"]["_target_"] for run in group.runs}) == 1
        assert sorted(run.config["seed"] for run in group.runs) == [0, 1, 2]


def test_a_run_without_config_joins_its_sweeps_group(tmp_path):
    make_runs(tmp_path, 6, seeds=3, states={1: "failed", 3: "failed", 4: "failed", 5: "failed"})
    groups = group_runs(find_runs([tmp_path]))
    assert sorted((len(g.runs), len(g.measured)) for g in groups) == [(3, 0), (3, 2)]


def test_runs_outside_of_sweeps_are_named_by_what_differs(tmp_path):
    for number, (packer, batch_size) in enumerate([("lpfhp", 64), ("lpfhp", 128)]):
        make_run(tmp_path / str(number), packer=packer, batch_size=batch_size)
    labels = [group.label for group in group_runs(find_runs([tmp_path]))]
    assert labels == ["batch_size=64", "batch_size=128"]


def test_paths_and_loggers_are_no_difference():
    one = flat({"seed": 0, "data_dir": "a", "logger": {"name": "x"}, "batch_size": 1})
    other = flat({"seed": 0, "data_dir": "b", "logger": None, "batch_size": 1})
    assert differing([one, other]) == []


def test_what_comes_along_with_a_choice_is_not_told_again():
    configs = [
        {"packer": "lpfhp", "cutoff": "6", "model.cutoff": "6"},
        {"packer": "random", "packer.tries": "3", "cutoff": "5", "model.cutoff": "5"},
    ]
    assert telling(configs, differing(configs)) == ["packer", "cutoff"]
    configs.append({**configs[1], "packer.tries": "4"})
    assert telling(configs, differing(configs)) == ["packer", "cutoff", "packer.tries"]


def test_labels_are_unique_and_fit():
    long = [f"{'x' * 60}{end}{'y' * 40}" for end in "ab"]
    labels = unique([shortened(label) for label in [*long, "a (2)", "a", "a"]])
    assert len(set(labels)) == 5
    assert max(map(len, labels)) <= 48


def test_numbers_in_labels_are_ordered_as_numbers():
    assert sorted(["h=128", "h=64", "h=1.5", "packer"], key=natural) == [
        "h=1.5",
        "h=64",
        "h=128",
        "packer",
    ]


@pytest.mark.parametrize("number, limit", [(4, 20), (20, 20), (50, 20)])
def test_the_best_and_the_worst_are_drawn(tmp_path, number, limit):
    make_runs(tmp_path, number, seeds=1)
    groups = group_runs(find_runs([tmp_path]))
    chosen, said = drawn(groups, lambda g: g.mean("test_mae"), limit, ("best", "worst"))
    assert len(chosen) == min(number, limit)
    assert bool(said) == (number > limit)
    ranked = sorted(groups, key=lambda g: g.mean("test_mae"))
    if said:
        assert set(ranked[: limit - limit // 4]) | set(ranked[-(limit // 4) :]) == set(chosen)
    assert chosen == [group for group in groups if group in chosen]


def test_a_folder_without_anything_is_no_group(tmp_path):
    assert group_runs(find_runs([Path(tmp_path)])) == []
