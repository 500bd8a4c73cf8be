"""`gnnpack bench compare`: two reports side by side."""

from __future__ import annotations

import copy
import io
import json

import pytest
from rich.console import Console

from gnnpack import bench
from gnnpack.bench.compare import FASTER, SAME, SLOWER
from gnnpack.bench.report import FORMAT_VERSION
from gnnpack.commands.bench import main


def spread(median, width=0.1):
    return {"median": median, "p10": median * (1 - width), "p90": median * (1 + width)}


def row(name, seconds, ratio=None):
    return {
        "name": name,
        "seconds": spread(seconds),
        "times_baseline": None if ratio is None else spread(ratio),
    }


@pytest.fixture
def report():
    rows = [row("packed", 1.0, 10.0), row("pyg", 10.0, 1.0)]
    return {
        "bench": "overview",
        "format_version": FORMAT_VERSION,
        "git": {"commit": "a", "dirty": False},
        "machine": {"cpu": "one"},
        "versions": {"torch": "2"},
        "settings": {"repeats": 7},
        "data": {"dataset": "qm9"},
        "sections": [
            {"name": "plan", "baseline": None, "rows": [row("lpfhp", 2.0)]},
            {"name": "train_step_8", "baseline": "pyg", "rows": rows},
        ],
    }


def changes(one, other):
    return {(c.section, c.row): c for c in bench.compare(one, other).changes}


def test_a_report_does_not_differ_from_itself(report):
    found = bench.compare(report, report)
    assert found.warnings == found.only == []
    assert [(change.times, change.verdict) for change in found.changes] == [(1.0, SAME)] * 3


@pytest.mark.parametrize(
    "seconds, verdict", [(1.0, FASTER), (1.9, SAME), (2.1, SAME), (3.0, SLOWER)]
)
def test_times_decide_where_there_is_no_ratio(report, seconds, verdict):
    other = copy.deepcopy(report)
    other["sections"][0]["rows"][0]["seconds"] = spread(seconds)
    change = changes(report, other)["plan", "lpfhp"]
    assert change.verdict == verdict
    assert change.times == pytest.approx(2.0 / seconds)


def test_a_slower_machine_cancels_in_ratios(report):
    other = copy.deepcopy(report)
    for one in other["sections"][1]["rows"]:
        one["seconds"] = spread(5 * one["seconds"]["median"])
    found = changes(report, other)
    assert found["train_step_8", "packed"].verdict == SAME
    # The baseline's own ratio is always 1, so its time is what tells.
    assert found["train_step_8", "pyg"].verdict == SLOWER


@pytest.mark.parametrize("ratio, verdict", [(20.0, FASTER), (10.5, SAME), (5.0, SLOWER)])
def test_a_ratio_that_changed_is_the_codes(report, ratio, verdict):
    other = copy.deepcopy(report)
    other["sections"][1]["rows"][0]["times_baseline"] = spread(ratio)
    assert changes(report, other)["train_step_8", "packed"].verdict == verdict


def test_ratios_to_different_rows_are_not_compared(report):
    other = copy.deepcopy(report)
    other["sections"][1]["baseline"] = "plain"
    assert changes(report, other)["train_step_8", "packed"].ratios is None


def test_what_else_differs_is_said(report):
    other = copy.deepcopy(report)
    other["git"] = {"commit": "b", "dirty": True}
    other["machine"]["cpu"] = "two"
    other["settings"]["threads"] = 1
    other["sections"][0]["rows"][0]["name"] = "optimal"
    found = bench.compare(report, other)
    assert found.warnings == [
        "commits differ: a and b.",
        "the second report is of code with changes not committed.",
        "machine differ: cpu one and two.",
        "settings differ: threads None and 1.",
    ]
    assert found.only == ["plan / lpfhp: the first alone", "plan / optimal: the second alone"]
    console = Console(record=True, width=100, file=io.StringIO())
    bench.print_comparison(found, console)
    printed = console.export_text()
    assert all(sentence in printed for sentence in (*found.warnings, *found.only))
    assert "train_step_8 / packed" in printed


def test_reports_of_different_benchmarks_are_refused(report):
    with pytest.raises(ValueError, match="benchmark overview, the second of packers"):
        bench.compare(report, {**report, "bench": "packers"})


def write(path, content):
    path.write_text(content, encoding="utf-8")
    return str(path)


def test_files_that_are_no_reports_are_refused(report, tmp_path):
    with pytest.raises(ValueError, match="there is no report"):
        bench.read_report(str(tmp_path))
    with pytest.raises(ValueError, match="is not JSON"):
        bench.read_report(write(tmp_path / "a.json", "nonsense"))
    with pytest.raises(ValueError, match="no report of gnnpack bench"):
        bench.read_report(write(tmp_path / "a.json", "[]"))
    old = json.dumps({**report, "format_version": 1})
    with pytest.raises(ValueError, match=f"of format 1, and this gnnpack reads {FORMAT_VERSION}"):
        bench.read_report(write(tmp_path / "a.json", old))


def test_the_command_takes_files_and_folders(report, tmp_path, monkeypatch, capsys):
    file = write(tmp_path / "bench.json", json.dumps(report))
    monkeypatch.setattr("sys.argv", ["gnnpack bench", "compare", file, str(tmp_path)])
    main()
    assert "plan / lpfhp" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["one"], ["one", "two", "three"]])
def test_the_command_wants_two(monkeypatch, arguments):
    monkeypatch.setattr("sys.argv", ["gnnpack bench", "compare", *arguments])
    with pytest.raises(SystemExit, match="give two reports"):
        main()


def test_the_command_says_what_is_wrong(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["gnnpack bench", "compare", *[str(tmp_path / "none")] * 2])
    with pytest.raises(SystemExit, match=r"gnnpack bench compare: .*there is no report"):
        main()
