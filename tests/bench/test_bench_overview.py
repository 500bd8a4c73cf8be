"""The overview from end to end on a few made molecules; times are never looked at."""

from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest
import torch
from rich.console import Console
from tests.conftest import make_source

from gnnpack import bench
from gnnpack.batching import PackBatch
from gnnpack.bench.batches import check_collate, collate_by_hand, whole_batch
from gnnpack.bench.beside_pyg import directed_edges, molecule_edges
from gnnpack.bench.data import draw_batch
from gnnpack.bench.packer_list import PACKERS
from gnnpack.bench.settings import SECTIONS
from gnnpack.bench.training_step import check_same_function
from gnnpack.datasets import QM9, MissingSource
from gnnpack.packing import PackShape, lpfhp, one_per_pack


def settings(tmp_path, **changes):
    small = {"num_molecules": 40, "batch_size": (8,), "repeats": 2, "hidden_channels": 8}
    small.update(dataset="synthetic", data_dir=str(tmp_path / "data"), num_interactions=1)
    small.update(run_molecules=80)
    # Whole runs are processes of their own: tests/bench/test_bench_runs.py
    small.update(sections=tuple(name for name in SECTIONS if name != "train_run"))
    return bench.OverviewSettings(**{**small, **changes})


def report_of(wanted):
    return bench.overview(bench.open_data(wanted), wanted, ["gnnpack", "bench"])


def rows_of(report):
    return {s["name"]: {row["name"]: row for row in s["rows"]} for s in report["sections"]}


@pytest.fixture
def without_pyg(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_geometric", None)


def test_report_has_rows_and_birth_certificate(tmp_path):
    pytest.importorskip("torch_geometric")
    report = report_of(settings(tmp_path))
    check_files_and_tables(report, tmp_path)
    assert "| x PyG |" in bench.markdown(report)
    rows = rows_of(report)
    assert list(rows) == [
        "machine",
        "store",
        "plan",
        "batch",
        "input",
        "neighbours",
        "filter_error",
        "convolution",
        "convolution_backward",
        "step_parts_8",
        "train_step_8",
        "metering_8",
    ]
    assert list(rows["batch"]) == ["packed", "padded", "python", "pyg"]
    assert list(rows["input"]) == ["ahead", "asked", "pyg"]
    assert list(rows["plan"]) == [entry.label for entry in PACKERS]
    assert list(rows["train_step_8"])[:5] == ["packed", "padded", "exact", "plain", "pyg"]
    assert set(report) >= {"started", "git", "machine", "versions", "settings", "data", "argv"}
    assert report["settings"]["batch_size"] == "8"
    assert report["data"]["num_train"] == 32
    assert [note for note in report["notes"] if "SchNetPack" not in note] == []
    assert {one["name"]: one["baseline"] for one in report["sections"]} == {
        **dict.fromkeys(rows),
        **dict.fromkeys(("batch", "input", "train_step_8"), "pyg"),
        "neighbours": "ASE",
        "convolution": "plain torch",
        "convolution_backward": "plain torch",
        "metering_8": "without",
    }
    for one in report["sections"]:
        ratios = [row["times_baseline"] is not None for row in one["rows"]]
        assert ratios == [one["baseline"] is not None] * len(ratios)
    assert all(row["repeats"] == 2 for section in rows.values() for row in section.values())
    for row in rows["train_step_8"].values():
        floor = row["facts"]["floor_seconds"] / row["seconds"]["median"]
        assert row["facts"]["percent_of_floor"] == pytest.approx(100 * floor)


def test_all_rows_learn_the_same(tmp_path):
    pytest.importorskip("torch_geometric")
    wanted = settings(tmp_path, batch_size=(32,), repeats=4, sections=("train_step",))
    facts = [row["facts"] for row in rows_of(report_of(wanted))["train_step_32"].values()]
    assert all(fact["loss_falls"] and fact["updates"] == 6 for fact in facts)
    for name in ("first_loss", "last_loss"):
        assert np.allclose([fact[name] for fact in facts], facts[0][name], rtol=1e-4)


def test_a_loss_that_does_not_fall_is_said(tmp_path, without_pyg):
    report = report_of(settings(tmp_path, lr=1e-30, sections=("train_step",)))
    rows = rows_of(report)["train_step_8"]
    assert sum("did not fall" in note for note in report["notes"]) == len(rows)


def test_without_pyg_its_rows_are_left_out_and_it_is_said_and_written(tmp_path, without_pyg):
    report = report_of(settings(tmp_path))
    assert "pyg" not in {name for rows in rows_of(report).values() for name in rows}
    assert "pip install 'gnnpack[pyg]'" in " ".join(report["notes"])
    assert "| x PyG |" not in bench.markdown(report)
    check_files_and_tables(report, tmp_path)


def check_files_and_tables(report, tmp_path):
    folder = bench.claim_report_folder(str(tmp_path / "out"), "synthetic")
    bench.write_overview_report(report, folder)
    assert (folder / "bench.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert json.loads((folder / "bench.json").read_text(encoding="utf-8")) == report
    text = (folder / "bench.md").read_text(encoding="utf-8")
    console = Console(record=True, width=80, file=io.StringIO())
    bench.print_report(report, console)
    printed = console.export_text()
    for section in report["sections"]:
        assert f"## {section['title']}" in text
        assert section["title"] in printed
        assert all(f"| {row['label']} |" in text for row in section["rows"])
    assert report["started"] in text


def test_few_molecules_are_said(tmp_path):
    data = bench.open_data(settings(tmp_path))
    batch, notes = draw_batch(data, 256, seed=0)
    assert sorted(batch.source.rows) == sorted(data.run.split.train)
    assert "only 32 molecules" in notes[0]
    assert draw_batch(data, 8, seed=0)[1] == ()


def test_sizes_that_come_out_the_same_are_one_table(tmp_path, without_pyg):
    wanted = settings(tmp_path, batch_size=(256, 64, 8), repeats=1, sections=("train_step",))
    names = [name for name in rows_of(report_of(wanted)) if name != "machine"]
    assert names == ["train_step_32", "train_step_8"]


def test_only_the_sections_asked_for_are_measured(tmp_path, without_pyg):
    report = report_of(settings(tmp_path, sections=("plan", "store")))
    assert list(rows_of(report)) == ["machine", "store", "plan"]


def test_without_qm9_made_molecules_serve_unless_qm9_was_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("gnnpack.bench.data.SYNTHETIC_MOLECULES", 20)
    monkeypatch.setattr(QM9, "_package_folder", lambda self: None)
    data = bench.open_data(settings(tmp_path, dataset=None, num_molecules=None))
    assert data.dataset.name == "synthetic"
    assert "made molecules" in data.notes[0]
    with pytest.raises(MissingSource, match="qm9pack"):
        bench.open_data(settings(tmp_path, dataset="qm9", num_molecules=None))


@pytest.mark.parametrize("packer, num_atoms", [(lpfhp, 24), (one_per_pack, 14)])
def test_plain_python_collate_is_the_same_batch(packer, num_atoms):
    source = make_source()
    plan = packer(source.num_atoms, PackShape(num_atoms))
    ours, by_hand = whole_batch(source, plan), collate_by_hand(source, plan)
    for name, expected, found in zip(PackBatch._fields, ours, by_hand):
        assert expected.dtype == found.dtype, name
        assert torch.equal(expected, found), name


def test_a_collate_that_differs_is_refused(monkeypatch):
    source = make_source()
    plan = lpfhp(source.num_atoms, PackShape(24))
    wrong = whole_batch(source, plan)
    wrong.num_atoms[0, 0] += 1
    monkeypatch.setattr("gnnpack.bench.batches.collate_by_hand", lambda *_: wrong)
    with pytest.raises(ValueError, match="differ in num_atoms"):
        check_collate(source, plan)


def test_edges_are_all_near_pairs_both_ways():
    source, cutoff = make_source(12), 3.0
    batch = whole_batch(source, one_per_pack(source.num_atoms, PackShape(14)))
    edges = directed_edges(batch, cutoff)
    pos = batch.pos[batch.atom_mask].double()
    owner = torch.arange(12).repeat_interleave(torch.from_numpy(source.num_atoms))
    apart = torch.cdist(pos, pos)
    near = (apart < cutoff) & (owner[:, None] == owner[None, :])
    near.fill_diagonal_(False)
    target, origin = near.nonzero(as_tuple=True)
    assert torch.equal(edges.edge_index, torch.stack([origin, target]))
    assert torch.allclose(edges.distance.double(), apart[target, origin], atol=1e-5)
    # The same edges, molecule by molecule.
    first_atom = torch.from_numpy(np.concatenate([[0], np.cumsum(source.num_atoms)]))
    parts = [molecule_edges(pos[owner == m].float(), cutoff) for m in range(12)]
    shifted = [part.edge_index + first_atom[m] for m, part in enumerate(parts)]
    assert torch.equal(torch.cat(shifted, 1), edges.edge_index)
    assert torch.allclose(torch.cat([part.distance for part in parts]), edges.distance, atol=1e-5)


@pytest.mark.parametrize("wrong", [1.001, float("nan")])
def test_rows_of_different_functions_are_refused(wrong):
    energies = torch.tensor([-80.0, 10.0])
    assert check_same_function({"a": energies, "b": energies * (1 + 1e-6)}) < 1e-5
    with pytest.raises(ValueError, match="row b differ from those of a"):
        check_same_function({"a": energies, "b": energies * wrong})


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"batch_size": (8, 0)}, "batch_size=8,0; it must be at least 1"),
        ({"batch_size": (8, 8)}, "batch_size=8,8; name each size once"),
        ({"sections": ("plans",)}, "sections=plans; name some of .*plan"),
        ({"run_molecules": 0}, "run_molecules=0"),
        ({"repeats": -1}, "repeats=-1"),
        ({"num_molecules": 3}, "num_molecules=3"),
        ({"dataset": "qm8"}, "dataset=qm8.*qm9, synthetic"),
        ({"dataset": "qm9"}, "num_molecules=40.*dataset=synthetic"),
        ({"lr": 0.0}, "lr=0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, changes, said):
    with pytest.raises(ValueError, match=said):
        settings(tmp_path, **changes)
