"""`gnnpack bench packers` from end to end on a few molecules; times are never looked at."""

from __future__ import annotations

import inspect
import io
import json
import pickle

import numpy as np
import pytest
from rich.console import Console

from gnnpack import bench, packing
from gnnpack.bench.cells import columns
from gnnpack.bench.packer_list import PACKERS, Molecules
from gnnpack.bench.packer_problem import memory_job
from gnnpack.bench.packers_bench import size_problems
from gnnpack.bench.packers_settings import PACK_SIZES
from gnnpack.bench.pair_limits import load_pairs, pair_capacity
from gnnpack.bench.sweep import BY_HISTOGRAM, curves, measure_sweep
from gnnpack.commands import bench_packers
from gnnpack.commands.bench import main
from gnnpack.datasets import QM9, Synthetic
from gnnpack.datasets.size_counts import DISTRIBUTIONS
from gnnpack.packing import PackShape, packer_name
from gnnpack.store import open_store

SMALL = {"distributions": "qm9,hydronet_500k", "sizes": "90", "num_molecules": "300"}
SMALL.update(repeats="1", sweep_to="80")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """No process of its own for memory, and no QM9 but where a test brings one."""

    def some_bytes(jobs):
        return [[1_000_000] * (len(job.calls) + len(job.loops)) for job in jobs]

    monkeypatch.setattr("gnnpack.bench.packers_bench.peak_memory", some_bytes)
    monkeypatch.setattr(QM9, "_package_folder", lambda self: None)


@pytest.fixture
def made_qm9(tmp_path, monkeypatch):
    """Made molecules in the place of QM9."""
    store = open_store(Synthetic(60, seed=0), str(tmp_path / "made"))
    monkeypatch.setattr("gnnpack.bench.packers_bench.open_qm9", lambda data_dir: store)
    return store


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["gnnpack bench", *arguments])
    main()


def small(tmp_path, **changes):
    given = {**SMALL, "data_dir": str(tmp_path / "data"), "out": str(tmp_path / "out"), **changes}
    return [f"{name}={value}" for name, value in given.items()]


def report_of(tmp_path, **changes):
    values = {"distributions": ("qm9",), "sizes": (90,), "num_molecules": 200, "sweep_to": 40}
    values.update(repeats=1, data_dir=str(tmp_path / "data"))
    return bench.packers(bench.PackersSettings(**{**values, **changes}), ["gnnpack"])


def sections_of(report):
    return {section["name"]: section for section in report["sections"]}


def test_it_writes_its_files_and_a_dated_copy(tmp_path, monkeypatch, capsys):
    results = tmp_path / "docs" / "results"
    run(monkeypatch, "packers", *small(tmp_path, results=results))
    (folder,) = (tmp_path / "out").iterdir()
    assert folder.name.endswith("_packers")
    assert sorted(file.name for file in folder.iterdir()) == ["bench.json", "bench.md", "bench.png"]
    report = json.loads((folder / "bench.json").read_text(encoding="utf-8"))
    name = f"{report['started'][:10]}_packers"
    copies = [f"{name}.{kind}" for kind in ("json", "md", "png")]
    assert sorted(file.name for file in results.iterdir()) == copies
    assert f"({name}.png)" in (results / f"{name}.md").read_text(encoding="utf-8")
    assert (results / f"{name}.json").read_text(encoding="utf-8") == json.dumps(
        report, indent=2, ensure_ascii=False
    ) + "\n"
    assert (folder / "bench.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert report["argv"][0] == "gnnpack bench packers"
    # Repeating what the report calls its settings repeats the run.
    assert {name: str(report["settings"][name]) for name in SMALL} == SMALL
    printed = capsys.readouterr().out
    assert "HydroNet 500k, packs of 90 atoms" in printed
    assert str(results / f"{name}.md") in printed


def test_every_packer_has_its_row_and_its_figures_agree(tmp_path):
    report = report_of(tmp_path)
    section = sections_of(report)["qm9_90"]
    rows = {row["name"]: row["facts"] for row in section["rows"]}
    labels = [entry.label for entry in PACKERS]
    assert [name.split("@")[0] for name in rows] == [*labels, "PyG loop, 200", "jraph loop, 200"]
    atoms = int(section["note"].split(", ")[1].split()[0].replace(",", ""))
    for name, facts in rows.items():
        assert facts["molecules"] == 200
        assert facts["packs"] == facts["bound"] + facts["over_bound"]
        assert facts["over_bound"] >= 0, name
        assert facts["peak_MB"] == 1.0
        if "@" not in name:
            assert facts["percent"] == pytest.approx(100 * atoms / (90 * facts["packs"]))
            assert facts["bound"] == rows["optimal"]["bound"]
    assert rows["optimal"]["over_bound"] <= 1
    assert rows["jraph loop, 200"]["packs"] >= rows["optimal"]["packs"]


@pytest.mark.parametrize("large, expected", [(199, 3), (200, 4)])
def test_large_tables_repeat_less(tmp_path, monkeypatch, large, expected):
    monkeypatch.setattr("gnnpack.bench.packer_rows.LARGE", large)
    section = sections_of(report_of(tmp_path, repeats=4))["qm9_90"]
    assert {row["repeats"] for row in section["rows"]} == {expected}


def test_every_packer_there_is_takes_part():
    exported = {name: getattr(packing, name) for name in packing.__all__}
    packers = {
        name
        for name, found in exported.items()
        if inspect.isfunction(found) and found.__annotations__.get("return") == "PackPlan"
    }
    assert packers == {packer_name(entry.packer) for entry in PACKERS}
    assert len({entry.label for entry in PACKERS}) == len(PACKERS)


def test_pair_limits_are_for_packers_that_keep_them(tmp_path, made_qm9):
    report = report_of(tmp_path, sizes=(90, 120), num_molecules=50)
    sections = sections_of(report)
    for cutoff in (5.0, 6.0):
        molecules = load_pairs(made_qm9.path, cutoff, 50, 0)
        for size in (90, 120):
            section = sections[f"qm9_{cutoff:g}_{size}"]
            capacity = pair_capacity(molecules, size)
            assert f"{size} atoms and {capacity:,} pairs within {cutoff:g}" in section["title"]
            rows = {row["name"].split("@")[0]: row["facts"] for row in section["rows"]}
            keep = {entry.label for entry in PACKERS if entry.knows_pairs}
            # One pack a molecule is of its own size: one table of a set is enough.
            expected = keep - {"one_per_pack"} if size == 120 else keep
            assert set(rows) == {*expected, "jraph loop, 50"}
            pairs = int(molecules.num_pairs.sum())
            found = rows["next_fit"]
            assert found["pair_percent"] == pytest.approx(100 * pairs / found["packs"] / capacity)
    assert "qm9_pairs" in report["data"]


def test_without_qm9_it_is_said(tmp_path):
    report = report_of(tmp_path)
    assert list(sections_of(report)) == ["sweep", "qm9_90"]
    assert any("pip install 'gnnpack[qm9]'" in note for note in report["notes"])


def test_without_memory_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("gnnpack.bench.packers_bench.peak_memory", lambda jobs: None)
    report = report_of(tmp_path)
    assert any("Memory was not measured" in note for note in report["notes"])
    assert "peak MB" not in bench.markdown(report)


def test_the_console_is_narrow_and_markdown_has_all(tmp_path):
    report = report_of(tmp_path)
    console = Console(record=True, width=80, file=io.StringIO())
    bench.print_report(report, console)
    printed, text = console.export_text(), bench.markdown(report)
    assert "size correlation" in text
    assert "correlation" not in printed.split("Every pack size")[1]
    # Cells that do not fit are cut with this.
    assert "…" not in printed
    for entry in PACKERS[1:]:
        assert f"| {entry.label} |" in text
        assert entry.label in printed
    assert "x PyG" not in text + printed, "there are no ratios"


def test_a_hundred_percent_means_that_no_slot_is_empty():
    row = {"label": "a", "seconds": {"median": 1.0, "p10": 1.0, "p90": 1.0}, "times_baseline": None}
    row.update(molecules_per_second=None, facts={"percent": 99.99999})
    full = {**row, "facts": {"percent": 100.0}}
    section = {"rows": [row, full], "columns": ["percent"], "wide": [], "baseline": None}
    assert columns(section)["percent"] == ["99.9999", "100.0000"]


def test_sweep_counts_the_packs_that_plans_have():
    num_atoms = {"qm9": np.random.RandomState(0).randint(3, 12, 150)}
    section = measure_sweep(num_atoms, 20)
    for row in section.rows:
        facts = row.facts
        assert facts["sizes"] == 20 - 11 + 1 == len(facts["packs"]) == len(facts["bounds"])
        assert facts["worst_gap"] == max(np.subtract(facts["packs"], facts["bounds"]))
        packer = getattr(packing, facts["packer"])
        plans = [packer(num_atoms["qm9"], PackShape(size)) for size in range(11, 21)]
        assert facts["packs"] == [plan.num_packs for plan in plans]
        assert all(b >= p.lower_bound for b, p in zip(facts["bounds"], plans))
    assert [row.facts["packer"] for row in section.rows] == [*BY_HISTOGRAM, "next_fit"]
    assert section.rows[0].facts["worst_gap"] <= 1


def test_sweep_of_large_molecules_has_one_size():
    section = measure_sweep({"qm9": np.array([90, 30])}, 40)
    assert [row.facts["sizes"] for row in section.rows] == [1] * len(curves(np.array([1])))


def test_pair_capacity_has_room_for_the_largest_molecule():
    molecules = Molecules(np.array([10, 1, 1, 1]), np.array([60, 0, 0, 0]))
    assert pair_capacity(molecules, 10) == 60
    assert pair_capacity(molecules, 13) == 61


def test_memory_jobs_reach_another_process():
    settings = bench.PackersSettings(("qm9",), (90,), num_molecules=50)
    (problem,) = size_problems(settings)
    job = pickle.loads(pickle.dumps(memory_job(problem, problem.load())))
    molecules = job.load()
    for entry, call in zip(PACKERS, job.calls):
        plan, epoch = call(molecules)
        assert plan.packer == packer_name(entry.packer)
        assert sorted(epoch.molecules.tolist()) == list(range(50))
    assert [sum(map(len, loop(molecules))) for loop in job.loops] == [50, 50]


def test_defaults_are_those_of_the_settings(monkeypatch):
    monkeypatch.setenv("GNNPACK_DATA", "/somewhere")
    settings = bench_packers.parse_settings(bench_packers.Arguments())
    assert settings == bench.PackersSettings()
    assert settings.distributions == DISTRIBUTIONS == tuple(PACK_SIZES)
    assert settings.data_dir == "/somewhere"


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["packerss"], "no benchmark 'packerss'; there is packers, packing, compare"),
        (["packers", "repeats=many"], "repeats=many is not a whole number"),
        (["packers", "sizes=54,x"], "sizes=x is not a whole number; write sizes=54,72"),
        (["packers", "sizes=90,90"], "sizes=90,90; name each size once"),
        (["packers", "sizes=54"], "hydronet_500k has molecules of 75 atoms"),
        (["packers", "distributions=qm8"], "no size counts of 'qm8'; choose among qm9"),
        (["packers", "distributions=qm9,qm9"], "at most once"),
        (["packers", "num_molecules=1"], "num_molecules=1; it must be at least 2"),
        (["packers", "repeats=0"], "repeats=0; it must be at least 1"),
        (["packers", "dataset=qm9"], "'dataset=qm9' is not an argument"),
    ],
)
def test_bad_arguments_say_what_is_wrong(monkeypatch, arguments, said):
    with pytest.raises(SystemExit, match=said):
        run(monkeypatch, *arguments)


@pytest.mark.parametrize("place", ["out", "results"])
def test_a_place_that_cannot_be_written_is_said_before_measuring(tmp_path, monkeypatch, place):
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    monkeypatch.setattr(bench, "packers", lambda *_: pytest.fail("measured first"))
    with pytest.raises(SystemExit, match="cannot write"):
        run(monkeypatch, "packers", *small(tmp_path, **{place: tmp_path / "taken" / "in"}))


def test_a_failure_leaves_no_empty_folder(tmp_path, monkeypatch):
    def fail(*_):
        raise ValueError("something is wrong")

    monkeypatch.setattr(bench, "packers", fail)
    with pytest.raises(SystemExit, match="something is wrong"):
        run(monkeypatch, "packers", *small(tmp_path))
    assert list((tmp_path / "out").iterdir()) == []
