"""`gnnpack bench` as typed."""

from __future__ import annotations

import json
import sys
from datetime import datetime

import pytest

from gnnpack import bench
from gnnpack.commands.bench import Arguments, main, parse_settings


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["gnnpack bench", *arguments])
    main()


def small(tmp_path, **changes):
    given = {"dataset": "synthetic", "num_molecules": "20", "batch_size": "4", "repeats": "1"}
    given["sections"] = "batch,train_step"
    given.update({"data_dir": str(tmp_path / "data"), "out": str(tmp_path / "out"), **changes})
    return [f"{name}={value}" for name, value in given.items()]


def test_it_writes_a_report_and_prints_the_tables(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch_geometric", None)
    run(monkeypatch, *small(tmp_path))
    (folder,) = (tmp_path / "out").iterdir()
    assert folder.name.endswith("_synthetic")
    assert sorted(file.name for file in folder.iterdir()) == ["bench.json", "bench.md", "bench.png"]
    report = json.loads((folder / "bench.json").read_text(encoding="utf-8"))
    assert report["argv"] == ["gnnpack bench", *small(tmp_path)]
    printed = capsys.readouterr().out
    assert "One training step, batch 4" in printed
    assert "Published, not measured here" in printed
    # Repeating what the report calls its settings repeats the run.
    given = dict(argument.split("=") for argument in small(tmp_path))
    assert all(str(report["settings"][name]) == given[name] for name in given if name != "out")
    assert str(folder / "bench.md") in printed


def test_defaults_are_those_of_the_settings(monkeypatch):
    monkeypatch.setenv("GNNPACK_DATA", "/somewhere")
    assert parse_settings(Arguments()) == bench.OverviewSettings()
    assert parse_settings(Arguments()).data_dir == "/somewhere"


@pytest.mark.parametrize(
    "argument, said",
    [
        ("repeats=many", "repeats=many is not a whole number"),
        ("batch_size=2.5", "batch_size=2.5 is not a whole number"),
        ("batch_size=64,", "batch_size= is not a whole number"),
        ("sections=store,speed", "sections=store,speed; name some of"),
        ("repeats=0", "repeats=0"),
        ("dataset=qm8", "choose one of"),
        ("size=3", "'size=3' is not an argument"),
    ],
)
def test_bad_arguments_say_what_is_wrong(monkeypatch, argument, said):
    with pytest.raises(SystemExit, match=said):
        run(monkeypatch, argument)


def test_a_place_that_cannot_be_written_is_said_before_measuring(tmp_path, monkeypatch):
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    monkeypatch.setattr(bench, "overview", lambda *_: pytest.fail("measured first"))
    with pytest.raises(SystemExit, match="cannot write"):
        run(monkeypatch, *small(tmp_path))


def test_a_failure_leaves_no_empty_folder(tmp_path, monkeypatch):
    def fail(*_):
        raise ValueError("something is wrong")

    monkeypatch.setattr(bench, "overview", fail)
    with pytest.raises(SystemExit, match="something is wrong"):
        run(monkeypatch, *small(tmp_path))
    assert list((tmp_path / "out").iterdir()) == []


def test_reports_of_one_second_do_not_share_a_folder(tmp_path):
    now = datetime(2024, 5, 6, 7, 8, 9)
    names = [bench.claim_report_folder(str(tmp_path), "qm9", now).name for _ in range(2)]
    assert names == ["2024-05-06_07-08-09_qm9", "2024-05-06_07-08-09_qm9_2"]
