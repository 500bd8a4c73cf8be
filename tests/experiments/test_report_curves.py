"""Points of learning curves."""

from __future__ import annotations

import numpy as np
import pytest
from tests.experiments.made_runs import make_run, make_runs

from gnnpack.experiments.find_runs import find_runs
from gnnpack.experiments.report_curves import LIMIT, curves_by_seconds, curves_by_updates
from gnnpack.experiments.report_points import MOST_POINTS, mean_curve, points, thinned
from gnnpack.experiments.run_folder import read_run


def run_with(tmp_path, metrics, **summary):
    folder = make_run(tmp_path / "run", **summary)
    (folder / "metrics.csv").write_text(metrics, encoding="utf-8")
    return read_run(folder)


def test_points_are_of_rows_that_have_a_value_in_order(tmp_path):
    run = run_with(tmp_path, "step,updates,val/mae\n3,4,0.5\n1,2,0.7\n2,3,\n")
    x, y = points(run, "updates")
    assert x.tolist() == [2.0, 4.0]
    assert y.tolist() == [0.7, 0.5]


def test_without_updates_steps_count_from_one(tmp_path):
    run = run_with(tmp_path, "step,val/mae\n0,0.7\n9,0.5\n")
    assert points(run, "updates")[0].tolist() == [1.0, 10.0]


def test_seconds_are_those_of_the_file_else_of_the_mean_rate(tmp_path):
    told = "step,updates,val/mae,train/seconds\n0,10,,5.0\n0,10,0.7,\n0,20,0.6,25.0\n"
    run = run_with(tmp_path, told, updates=20, train_seconds=8.0)
    assert points(run, "seconds")[0].tolist() == [5.0, 25.0]
    (tmp_path / "other").mkdir()
    untold = told.replace("train/seconds", "x")
    run = run_with(tmp_path / "other", untold, updates=20, train_seconds=8.0)
    assert points(run, "seconds")[0].tolist() == [4.0, 8.0]


def test_thinned_curves_keep_their_ends():
    x = np.arange(10_000.0)
    kept, values = thinned(x, 2 * x)
    assert len(kept) <= MOST_POINTS
    assert (kept[0], kept[-1]) == (0.0, 9999.0)
    assert values.tolist() == (2 * kept).tolist()
    short = np.arange(5.0)
    assert thinned(short, short)[0] is short


def test_the_mean_is_over_the_stretch_that_all_have():
    x, y = mean_curve(
        [
            (np.array([1.0, 2, 3]), np.array([1.0, 2, 3])),
            (np.array([2.0, 3, 9]), np.array([4.0, 5, 6])),
        ]
    )
    assert x.tolist() == [2.0, 3.0]
    assert y == pytest.approx([3.0, 4.0])


def names_of(section) -> set[str]:
    return {trace["name"] for trace in section.figure["data"]}


def test_runs_without_points_take_no_curves_place(tmp_path):
    make_runs(tmp_path, LIMIT + 6, seeds=1, states=dict.fromkeys(range(8), "failed"))
    for make in (curves_by_updates, curves_by_seconds):
        section = make(find_runs([tmp_path]))
        assert len(names_of(section)) == LIMIT - 2
        assert "drawn" not in " ".join(section.sentences)


def test_the_number_of_groups_that_are_drawn_is_told(tmp_path):
    states = dict.fromkeys(range(10), "unfinished")
    make_runs(tmp_path, LIMIT + 6, seeds=1, states=states)
    runs = find_runs([tmp_path])
    section = curves_by_updates(runs)
    assert f"{LIMIT} of {LIMIT + 6} groups are drawn" in " ".join(section.sentences)
    assert len(names_of(section)) == LIMIT
    done = {trace["name"] for trace in curves_by_updates(runs[10:]).figure["data"]}
    assert len(done & names_of(section)) == 10


def test_a_missing_clock_is_told_of_runs_that_are_drawn(tmp_path):
    for name in "ab":
        folder = make_run(tmp_path / name, packer={"a": "lpfhp", "b": "optimal"}[name])
        told = "step,updates,val/mae,train/seconds\n0,10,,5.0\n0,10,0.7,\n0,20,0.6,25.0\n"
        (folder / "metrics.csv").write_text(told, encoding="utf-8")
    make_run(tmp_path / "c", state="failed")
    assert "mean rate" not in " ".join(curves_by_seconds(find_runs([tmp_path])).sentences)
    make_run(tmp_path / "d", packer="next_fit")
    assert "mean rate" in " ".join(curves_by_seconds(find_runs([tmp_path])).sentences)
