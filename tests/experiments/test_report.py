"""The report's page: numbers are those of the summaries, and any runs give a sensible page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from tests.experiments.made_runs import make_run, make_runs

from gnnpack.experiments import report as report_module
from gnnpack.experiments.find_runs import find_runs
from gnnpack.experiments.report import make_sections, write_report
from gnnpack.experiments.report_headline import headline
from gnnpack.experiments.report_section import Section
from gnnpack.experiments.report_text import for_plotly, script_json

NOW = datetime(2026, 3, 1, 12, 0)
EVIL = "<img src=x onerror=document.title='pwned'>"
FAKE_PLOTLY = "window.fake = 1;"


class Parts(HTMLParser):
    """Start tags with their attributes, and all text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def page_of(paths, out, **options) -> str:
    options = {"title": "Made", "now": NOW, "plotly": FAKE_PLOTLY, **options}
    return write_report(find_runs(paths), out, **options).read_text(encoding="utf-8")


def sections_of(folder: Path) -> dict[str, Section]:
    return {section.title: section for section in make_sections(find_runs([folder]))}


@pytest.fixture(autouse=True)
def no_part_fails(caplog):
    """A part that fails is told on the page; here it fails the test."""
    yield
    failed = [record for record in caplog.get_records("call") if record.exc_info]
    assert not [one for one in failed if one.args != ("broken",)]


@pytest.fixture
def undrawn(monkeypatch):
    """Drawing takes most of the time, and other tests do it."""
    monkeypatch.setattr(report_module, "write_figure", lambda figure, folder, name: "<svg/>")


@pytest.mark.parametrize("seeds", [1, 3])
def test_numbers_in_the_tables_are_those_of_the_summaries(tmp_path, seeds):
    make_runs(tmp_path, 4 * seeds, seeds=seeds)
    sections = sections_of(tmp_path)
    for title, column, key, factor in (
        ("Accuracy", "test MAE (meV)", "test_mae", 1000),
        ("Accuracy", "val MAE (meV)", "val_mae", 1000),
        ("Accuracy", "training mean", "baseline_mae", 1000),
        ("Throughput", "molecules/s", "molecules_per_second_median", 1),
        ("Throughput", "atoms/s", "atoms_per_second_median", 1),
        ("Padding and where time goes", "filler (%)", "filler_fraction", 100),
        ("Padding and where time goes", "step p99 (ms)", "step_seconds_p99", 1000),
        ("Memory and energy", "energy (mJ/molecule)", "energy_joules_per_molecule", 1000),
    ):
        table = sections[title].table
        at = list(table.headings).index(column)
        for row, folders in zip(table.rows, table.folders):
            assert len(folders) == seeds
            summaries = [json.loads((f / "summary.json").read_text()) for f in folders]
            values = [factor * summary[key] for summary in summaries]
            assert number(row[at]) == pytest.approx(np.mean(values), rel=5e-3), (title, column)
            if column == "test MAE (meV)":
                spread = row[at + 1]
                least, most = number(row[at + 2]), number(row[at + 3])
                assert (least, most) == pytest.approx((min(values), max(values)), rel=5e-4)
                if seeds == 1:
                    assert spread == "one run"
                else:
                    assert number(spread) == pytest.approx(np.std(values, ddof=1), rel=6e-2)


def svg(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def number(cell: str) -> float:
    return float(cell.replace(",", ""))


def test_a_run_that_did_not_learn_is_warned_of(tmp_path):
    make_runs(tmp_path, 3, baseline_mae=1e-3)
    said = " ".join(sections_of(tmp_path)["Accuracy"].sentences)
    assert "3 runs did not learn" in said
    make_run(tmp_path / "good", hidden_channels=512)
    assert "3 runs did not learn" in " ".join(sections_of(tmp_path)["Accuracy"].sentences)


def test_emulated_speed_and_mixed_machines_are_warned_of(tmp_path):
    make_runs(tmp_path, 3, emulated=True)
    record = json.loads((tmp_path / f"{0:012x}" / "run.json").read_text())
    record["machine"]["gpus"] = ["Made GPU", "Made GPU"]
    (tmp_path / f"{0:012x}" / "run.json").write_text(json.dumps(record))
    said = " ".join(sections_of(tmp_path)["Throughput"].sentences)
    assert "emulated" in said
    assert "2 x Made GPU; Made CPU at 3 GHz, 2 cores" in said


def test_one_window_is_no_range_and_a_moment_is_warned_of(tmp_path):
    make_run(tmp_path / "a", num_windows=1, measured_seconds=0.05)
    make_run(tmp_path / "b", packer="optimal", measured_seconds=40.0)
    section = sections_of(tmp_path)["Throughput"]
    at = list(section.table.headings).index("10 - 90 %")
    cells = {row[0]: row[at] for row in section.table.rows}
    assert cells["packer=lpfhp"] == "one window"
    assert " - " in cells["packer=optimal"]
    said = " ".join(section.sentences)
    assert "1 group measured less than 1 s" in said
    assert "packer=lpfhp (0.050 s)" in said


def test_what_can_be_done_for_unfinished_runs_is_told_of_those_it_is_true_of(tmp_path):
    for name in "abc":
        make_run(tmp_path / name, state="unfinished")

    def said() -> str:
        return " ".join(sections_of(tmp_path)["What ran"].sentences)

    assert "3 left no checkpoint" in said()
    assert "resume=" not in said()
    (tmp_path / "a" / "checkpoints").mkdir()
    (tmp_path / "a" / "checkpoints" / "last.ckpt").touch()
    assert "1 left a checkpoint: the sweep started again, or resume=FOLDER" in said()
    assert "2 left no checkpoint" in said()


def test_groups_of_unknown_settings_are_told_with_the_reason(tmp_path):
    make_runs(tmp_path / "s", 4, seeds=1, states={1: "missing", 2: "failed"})
    said = " ".join(sections_of(tmp_path)["What differs"].sentences)
    assert "1 group of runs never began." in said
    assert "1 group of runs left no config.yaml" in said


def test_all_parts_of_a_resumed_run_are_told(tmp_path):
    """A commit and a machine for each start; the tenth comes behind the second."""
    folders = make_runs(tmp_path, 3)
    for name, commit in (("", "aaa"), ("_2", "bbb"), ("_10", "ccc")):
        record = json.loads((folders[0] / "run.json").read_text())
        record["git"] = {"commit": commit, "dirty": name == "_10"}
        record["machine"]["cores"] = 2 if name else 64
        (folders[0] / f"run_resumed{name}.json").write_text(json.dumps(record))
    (folders[1] / "run_resumed.json").write_text("{")
    sections = sections_of(tmp_path)
    said = " ".join(sections["Throughput"].sentences)
    assert "Made CPU at 3 GHz, 2 cores; Made CPU at 3 GHz, 64 cores" in said
    assert "or the parts of a resumed run, are of different states of the code" in said
    table = sections["Provenance"].table
    row = dict(zip(table.headings, table.rows[0]))
    assert row["commit"] == "dd98365dda | aaa | bbb | ccc+"
    assert row["machine"] == "Made CPU at 3 GHz, 2 cores | Made CPU at 3 GHz, 64 cores"
    assert dict(zip(table.headings, table.rows[2]))["commit"] == "dd98365dda"
    said = " ".join(sections["Provenance"].sentences)
    assert "3 runs of 5 commits" in said
    assert "1 run in several parts" in said


def test_what_counts_whole_processors_is_told(tmp_path):
    make_run(tmp_path / "a")
    said = " ".join(sections_of(tmp_path)["Memory and energy"].sentences)
    assert "runs that went on beside each other on one machine each count all of it" in said
    make_run(tmp_path / "other" / "b", energy_source="NVML Made GPU")
    said = " ".join(sections_of(tmp_path / "other")["Memory and energy"].sentences)
    assert "whole processors" not in said


def test_an_emulator_is_the_fastest_only_of_its_kind(tmp_path):
    make_run(tmp_path / "a", packer="optimal", emulated=True, molecules_per_second_median=1e6)
    assert "emulated" in headline(find_runs([tmp_path]))[-1].words
    make_run(tmp_path / "b", packer="next_fit", molecules_per_second_median=1e3)
    fastest = headline(find_runs([tmp_path]))[-1]
    assert (fastest.number, "emulated" in fastest.words) == ("1,000", False)


def test_what_was_not_measured_is_said_so(tmp_path):
    make_run(
        tmp_path / "run",
        molecules_per_second_median=None,
        molecules_per_second_p10=None,
        percent_of_floor=None,
        step_seconds_p50=None,
    )
    sections = sections_of(tmp_path)
    said = " ".join(sections["Throughput"].sentences)
    assert "Not measured in any run: 10 - 90 %, of floor (%)." in said
    assert "warm-up included" in said
    assert "capture (s)." in " ".join(sections["Padding and where time goes"].sentences)
    make_run(tmp_path / "other", packer="optimal")
    sections = sections_of(tmp_path)
    assert sorted(row[3] == "not measured" for row in sections["Throughput"].table.rows) == [0, 1]
    assert "step p50 (ms)" in sections["Padding and where time goes"].table.headings


STATES = ["done", "failed", "running", "unfinished", "missing", "pruned"]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("number", [1, 4])
@pytest.mark.usefixtures("undrawn")
def test_any_state_gives_a_page(tmp_path, state, number):
    make_runs(tmp_path / "sweep", number, states=dict.fromkeys(range(number), state))
    page = page_of([tmp_path / "sweep"], tmp_path / "out")
    told = "unfinished" if state == "running" else state  # nobody holds the lock
    assert f"{number} {told}" in page
    if state == "failed":
        assert "RuntimeError: out of memory" in page


def test_mixed_runs_of_several_sweeps_give_a_page(tmp_path):
    states = dict(enumerate(STATES * 3))
    make_runs(tmp_path / "one", 18, sweep="one", states=states)
    make_runs(tmp_path / "two", 6, sweep="two", unit="D", target="mu")
    page = page_of([tmp_path / "one", tmp_path / "two"], tmp_path / "out")
    assert "2 data sets or targets" in page
    assert "best test MAE qm9 mu" in page


def test_no_runs_give_a_page(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "No runs were found" in page_of([tmp_path / "empty"], tmp_path / "out")


@pytest.mark.parametrize(
    "name, content",
    [
        ("summary.json", "{"),
        ("summary.json", '{"test_mae": "fast", "baseline_mae": NaN, "unit": 3, "target": []}'),
        ("summary.json", '{"test_mae": 0.1}'),
        ("run.json", "[]"),
        ("run.json", '{"git": 3, "machine": [], "versions": null, "data": "x", "started": 5}'),
        ("config.yaml", "a: [b"),
        ("config.yaml", "packer: lpfhp\nseed: [1]\nmodel: {1: 2}\n"),
        ("metrics.csv", "step,updates\n"),
        ("metrics.csv", "a,val/mae\n1,2\n3"),
        ("metrics.csv", ""),
        ("job.json", '{"swept": 3}'),
    ],
)
@pytest.mark.usefixtures("undrawn")
def test_damaged_files_give_a_page(tmp_path, name, content):
    make_runs(tmp_path / "sweep", 3)
    (tmp_path / "sweep" / f"{0:012x}" / name).write_text(content, encoding="utf-8")
    assert "3 runs" in page_of([tmp_path / "sweep"], tmp_path / "out")
    one = [tmp_path / "sweep" / f"{0:012x}"]
    assert "1 run" in page_of(one, tmp_path / "one")


def test_one_run_shows_its_curves_and_its_own_figures(tmp_path):
    folder = make_run(tmp_path / "run")
    (folder / "figures").mkdir()
    (folder / "figures" / "pack_fill.png").write_bytes(b"\x89PNG made")
    page = page_of([folder], folder / "report")
    assert "How full the packs of training are" in page
    assert (folder / "report" / "figures" / "training.svg").is_file()
    # Again: the report's own folder is no run.
    assert "1 run," in page_of([folder], folder / "report")


@pytest.mark.usefixtures("undrawn")
def test_text_of_users_is_text(tmp_path):
    folder = tmp_path / "runs" / EVIL
    make_run(folder, sweep=EVIL)
    make_run(tmp_path / "runs" / "b", state="failed", reason=EVIL, sweep=EVIL)
    config = (folder / "config.yaml").read_text().replace("cutoff: 6.0", f'cutoff: "{EVIL}"')
    (folder / "config.yaml").write_text(config, encoding="utf-8")
    record = json.loads((folder / "run.json").read_text())
    record["machine"]["cpu"] = record["data"]["dataset"] = record["started"] = EVIL
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    page = page_of([tmp_path / "runs"], tmp_path / "out", title=EVIL, command=EVIL)
    assert EVIL not in page
    assert page.count("&lt;img src=x") > 8
    parts = Parts()
    parts.feed(page)
    assert not [attrs for _, attrs in parts.tags if "onerror" in attrs]


def test_a_figures_text_cannot_end_its_script():
    told = script_json(for_plotly({"name": "</script><a href='http://x'>", "x": [float("nan")]}))
    assert "<" not in told
    assert json.loads(told) == {
        "name": "&lt;/script&gt;&lt;a href='http://x'&gt;",
        "x": [None],
    }


@pytest.mark.usefixtures("undrawn")
def test_nothing_is_loaded_from_anywhere(tmp_path):
    make_runs(tmp_path / "sweep", 6)
    page = page_of([tmp_path / "sweep"], tmp_path / "out")
    parts = Parts()
    parts.feed(page)
    loading = [a for _, a in parts.tags for a in (a.get("src"), a.get("href")) if a]
    assert loading
    for address in loading:
        assert address.startswith(("data:", "#", "..")), address
    assert "default-src 'none'" in page
    assert not re.search(r"@import|url\(|//cdn", page)


@pytest.mark.usefixtures("undrawn")
def test_numbers_lead_to_their_runs(tmp_path):
    folders = make_runs(tmp_path / "sweep", 6)
    page = page_of([tmp_path / "sweep"], tmp_path / "out")
    parts = Parts()
    parts.feed(page)
    rows = {attrs["id"] for tag, attrs in parts.tags if tag == "tr" and "id" in attrs}
    links = {a["href"][1:] for tag, a in parts.tags if tag == "a" and "run-" in a["href"]}
    assert rows == links == {f"run-{number}" for number in range(1, 7)}
    told = {a["href"] for tag, a in parts.tags if tag == "a" and a["href"].startswith("..")}
    assert told == {f"../sweep/{folder.name}/" for folder in folders}
    assert "dd98365dda+" in page
    assert "uncommitted changes" in page


def test_the_same_runs_give_the_same_files(tmp_path, monkeypatch):
    make_runs(tmp_path / "sweep", 3, states={1: "failed"})
    one = page_of([tmp_path / "sweep"], tmp_path / "a")
    assert page_of([tmp_path / "sweep"], tmp_path / "b") == one
    for file in (tmp_path / "a" / "figures").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / "figures" / file.name).read_bytes()
    assert not [p for p in (tmp_path / "a").rglob("*") if p.name.endswith(".part")]
    drawn = tmp_path / "a" / "figures"
    monkeypatch.setattr(
        report_module, "write_figure", lambda figure, folder, name: svg(drawn / f"{name}.svg")
    )
    later = page_of([tmp_path / "sweep"], tmp_path / "c", now=datetime(2027, 1, 1))
    assert later.replace("2027-01-01 00:00", "2026-03-01 12:00") == one


@pytest.mark.usefixtures("undrawn")
def test_without_plotly_figures_are_pictures(tmp_path):
    make_runs(tmp_path / "sweep", 3)
    page = page_of([tmp_path / "sweep"], tmp_path / "out", plotly="")
    assert "gnnpack[report]" in page
    assert "data-figure=" not in page
    assert page.count("data:image/svg+xml") >= 3
    with_it = page_of([tmp_path / "sweep"], tmp_path / "out")
    assert "gnnpack[report]" not in with_it
    assert with_it.count(FAKE_PLOTLY) == 1
    assert with_it.count("data-figure=") == with_it.count("data:image/svg+xml")


@pytest.mark.usefixtures("undrawn")
def test_a_failing_part_leaves_the_others(tmp_path, monkeypatch):
    def broken(runs):
        raise KeyError("<x>")

    monkeypatch.setattr(report_module, "MAKERS", (broken, *report_module.MAKERS))
    make_run(tmp_path / "run")
    page = page_of([tmp_path / "run"], tmp_path / "out")
    assert "Warning: this part could not be made (KeyError: &#x27;&lt;x&gt;&#x27;)" in page
    assert "Accuracy" in page


def test_two_parts_of_one_name_have_files_of_their_own(tmp_path, monkeypatch):
    figure = {"data": [{"type": "scatter", "x": [1], "y": [2]}], "layout": {}}
    section = Section("A part", figure=figure, name="../a part")
    makers = (lambda runs: section, lambda runs: replace(section, title="Another"))
    monkeypatch.setattr(report_module, "MAKERS", makers)
    make_run(tmp_path / "run")
    page_of([tmp_path / "run"], tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out" / "figures").iterdir())
    assert names == ["a_part.png", "a_part.svg", "a_part_2.png", "a_part_2.svg"]


def test_many_groups_are_limited_and_it_is_said(tmp_path):
    make_runs(tmp_path, 120, seeds=2)
    sections = sections_of(tmp_path)
    assert "20 of 60 groups are drawn" in " ".join(sections["Accuracy"].sentences)
    assert "14 of 60 groups are drawn" in " ".join(sections["Learning by updates"].sentences)
    assert len(sections["Accuracy"].table.rows) == 60
    errors = [number(row[2]) for row in sections["Accuracy"].table.rows]
    assert errors == sorted(errors)


@pytest.mark.usefixtures("undrawn")
def test_a_seed_run_twice_is_told(tmp_path):
    make_run(tmp_path / "a", seed=1)
    make_run(tmp_path / "b", seed=2)
    assert "more than once" not in " ".join(sections_of(tmp_path)["Accuracy"].sentences)
    make_run(tmp_path / "c", seed=1)
    assert "more than once" in " ".join(sections_of(tmp_path)["Accuracy"].sentences)
