"""Which runs are one group, and what they are called."""

from __future__ import annotations

import json
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


# --- names ---


def labels_of(folder: Path) -> list[str]:
    return [group.label for group in group_runs(find_runs([folder]))]


def typed(folder: Path, *words: str, **settings) -> Path:
    """A single run that was started with these words."""
    make_run(folder, **settings)
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "argv": list(words)}))
    return folder


def change(folder: Path, old: str, new: str) -> None:
    config = (folder / "config.yaml").read_text()
    assert old in config
    (folder / "config.yaml").write_text(config.replace(old, new))


def test_a_single_run_leaves_the_names_of_sweeps_as_they_are(tmp_path):
    make_runs(tmp_path / "a", 8, seeds=1, sweep="packer_ablation_of_ours")
    make_runs(tmp_path / "b", 2, seeds=1, sweep="short")
    words = ("packer=optimal", "batch_size=1024")
    typed(tmp_path / "c" / "one", *words, packer="optimal", batch_size=1024)
    labels = labels_of(tmp_path)
    assert len(set(labels)) == 11
    assert max(map(len, labels)) <= 44
    assert "packer=optimal, batch_size=1024" in labels
    # All of one sweep are named alike, and the other has the same settings.
    assert sum(label.startswith("packer_ablation_of_ours, ") for label in labels) == 8
    assert "packer_ablation_of_ours, lpfhp, 64" in labels
    assert "short, packer=lpfhp, hidden_channels=32" in labels


def test_long_names_of_sweeps_keep_the_settings_with_their_keys(tmp_path):
    make_runs(tmp_path / "a", 8, seeds=1, sweep="packer_ablation_of_ours")
    typed(tmp_path / "b", "batch_size=1024", batch_size=1024)
    labels = labels_of(tmp_path)
    assert labels[0] == "batch_size=1024"
    assert "packer=one_per_pack, hidden_channels=64" in labels
    assert len(set(labels)) == 9


def test_single_runs_are_named_by_what_was_typed(tmp_path):
    shared = ("dataset=qm9", "logger=csv", "seed=3")
    typed(tmp_path / "a", *shared, "packer=optimal", packer="optimal")
    typed(tmp_path / "b", *shared, "batch_size=128", batch_size=128)
    assert labels_of(tmp_path) == ["batch_size=128", "packer=optimal"]
    typed(tmp_path / "c", *shared)
    assert "packer=lpfhp, batch_size=64" in labels_of(tmp_path)


def test_long_names_of_single_runs_keep_whole_parts_that_tell_them_apart(tmp_path):
    """Runs that add one measure after another."""
    measures = {
        "packer=one_per_pack": ("packing.lpfhp", "packing.one_per_pack"),
        "loader.prefetch=0": ("prefetch: 4", "prefetch: 0"),
        "model.compiled=false": ("compiled: true", "compiled: false"),
        "objective.weighting=atom": ("weighting: molecule", "weighting: atom"),
    }
    for number in range(len(measures) + 1):
        words = list(measures)[number:]
        folder = typed(tmp_path / str(number), *words)
        for word in words:
            change(folder, *measures[word])
    labels = labels_of(tmp_path)
    assert len(set(labels)) == 5
    for label in labels:
        assert len(label) <= 44
        assert all("=" in part for part in label.split(", ")), label


def test_the_same_sweep_on_two_accelerators_tells_which(tmp_path):
    for kind in ("cpu", "gpu"):
        for folder in make_runs(tmp_path / kind, 2, seeds=1):
            change(folder, "accelerators.cpu", f"accelerators.{kind}")
            change(folder, "strategy: auto", f"strategy: {kind}_own")
    labels = labels_of(tmp_path)
    assert sum("accelerator=gpu" in label for label in labels) == 2
    assert len(set(labels)) == 4


def test_what_auto_found_parts_the_runs_of_one_sweep(tmp_path):
    for gpus in ([], ["NVIDIA H200"]):
        (folder,) = make_runs(tmp_path / f"on_{len(gpus)}", 1, seeds=1)
        change(folder, "accelerators.cpu", "accelerators.auto")
        record = json.loads((folder / "run.json").read_text())
        record["machine"]["gpus"] = gpus
        (folder / "run.json").write_text(json.dumps(record))
    groups = group_runs(find_runs([tmp_path]))
    assert [len(group.runs) for group in groups] == [1, 1]
    assert [group.label.split(", ")[-1] for group in groups] == [
        "accelerator=cpu",
        "accelerator=gpu",
    ]


def test_jobs_that_never_began_have_their_folders_names(tmp_path):
    (folder,) = make_runs(tmp_path / "s", 1, seeds=1)
    sweep = {"format_version": 1, "name": "made", "jobs": [folder.name, "b" * 12]}
    (tmp_path / "s" / "sweep.json").write_text(json.dumps(sweep))
    assert "b" * 12 in labels_of(tmp_path)
