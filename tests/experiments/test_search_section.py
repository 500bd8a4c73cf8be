"""What the report says of a search, from its study.json alone."""

from __future__ import annotations

import json

import pytest

from gnnpack.experiments.find_runs import find_runs
from gnnpack.experiments.job import Job, write_job
from gnnpack.experiments.report_drawing import draw
from gnnpack.experiments.study_section import (
    parameters_figure,
    search_history,
    search_importance,
    search_parameters,
)

SPACE = {
    "optimizer.lr": {"low": 1e-4, "high": 1e-2, "log": True, "step": None},
    "model.filter": {"choices": ["exact", "tabulated"]},
}


def trial(number: int, state: str, value, lr: str, **others) -> dict:
    params = {"optimizer.lr": lr, "model.filter": ("exact", "tabulated")[number % 2]}
    fixed = {"validations": {}, "seconds": 3.0, "reason": None, "key": f"{number:012d}"}
    return {"number": number, "state": state, "value": value, "params": params, **fixed, **others}


TRIALS = [
    trial(0, "done", 0.05, "0.001"),
    trial(1, "pruned", 0.09, "0.01"),
    trial(2, "done", 0.03, "0.0001"),
    trial(3, "failed", None, "0.01", reason="out of memory"),
    trial(4, "done", 0.04, "0.01"),
    trial(5, "running", None, "0.002", key=None),
]
RECORD = {
    "name": "search",
    "direction": "minimize",
    "metric": "val_mae",
    "sampler": "tpe",
    "pruner": "median",
    "seed": 0,
    "num_trials": 9,
    "space": SPACE,
    "trials": TRIALS,
    "best": 2,
    "importance": {"optimizer.lr": 0.8, "model.filter": 0.2},
}


@pytest.fixture
def runs(tmp_path):
    """The trials' runs, and the study beside them."""
    sweep = tmp_path / "search"
    for one in TRIALS:
        if one["key"]:
            job = Job("search", one["key"], one["number"] + 1, [], swept=one["params"])
            write_job(sweep / one["key"], job)
            if one["state"] == "done":
                summary = {"val_mae": one["value"], "unit": "eV"}
                (sweep / one["key"] / "summary.json").write_text(json.dumps(summary))
    (sweep / "study.json").write_text(json.dumps(RECORD))
    return find_runs([sweep])


def test_the_history_is_told_and_drawn_in_the_unit_people_read(runs):
    section = search_history(runs)
    traces = {trace["name"]: (trace["x"], trace["y"]) for trace in section.figure["data"]}
    assert traces["done"] == ([1, 3, 5], pytest.approx([50.0, 30.0, 40.0]))
    assert traces["pruned"] == ([2], pytest.approx([90.0]))
    assert traces["best so far"] == ([1, 3, 5], pytest.approx([50.0, 30.0, 30.0]))
    assert "6 trials (3 done, 1 failed, 1 pruned, 1 running)" in section.sentences[0]
    assert "trial 3 with validation MAE 30 meV" in section.sentences[1]
    assert [row[0] for row in section.table.rows] == ["3", "5", "1"]
    assert section.table.folders[0][0].name == "000000000002"


def test_every_figure_can_be_drawn_on_paper(runs):
    for maker in (search_history, search_parameters, search_importance):
        section = maker(runs)
        png, svg = draw(section.figure)
        assert png[:4] == b"\x89PNG"
        assert "<svg" in svg


def test_parameters_stand_in_their_range(runs):
    lines = parameters_figure(RECORD, 1000.0, "meV")["data"]
    # The worst first: trials 1, 5, 3.
    assert [line["y"] for line in lines] == [
        pytest.approx([0.5, 0.0]),
        pytest.approx([1.0, 0.0]),
        pytest.approx([0.0, 0.0]),
    ]
    names = [line["name"] for line in lines if line["showlegend"]]
    assert len(names) == len(set(names))


def test_one_search_is_shown_and_the_others_are_counted(runs):
    """All sections are of the same one, also where only another has what one needs."""
    folder = runs[0].folder.parent
    few = {**RECORD, "name": "few", "trials": TRIALS[:1], "best": 0, "importance": {}}
    (folder / "study.json").write_text(json.dumps(few))
    (folder / "study_2.json").write_text(json.dumps(RECORD))
    (folder / "study_3.json").write_text(json.dumps({**RECORD, "trials": TRIALS[3:4]}))
    section = search_history(runs)
    assert section.title == "Search: few"
    assert "1 other search is not shown" in section.sentences[-1]
    assert search_parameters(runs) is None
    assert search_importance(runs) is None


def test_other_runs_have_no_such_sections(runs, tmp_path):
    (runs[0].folder.parent / "study.json").unlink()
    assert search_history(runs) is None
    assert search_importance([]) is None
    (runs[0].folder.parent / "study.json").write_text("{")
    assert search_parameters(runs) is None
    without = {**RECORD, "trials": TRIALS[3:4], "best": None, "importance": {}}
    (runs[0].folder.parent / "study.json").write_text(json.dumps(without))
    assert search_history(runs) is None
    assert search_importance(runs) is None
