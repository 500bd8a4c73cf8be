"""Whole training runs: what they train on, and how their figures become rows."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

from gnnpack import bench
from gnnpack.bench import pyg_run, training_runs
from gnnpack.bench.batches import whole_batch
from gnnpack.bench.data import shapes
from gnnpack.bench.epoch_updates import epoch_updates, training_loader, training_plan
from gnnpack.bench.measured_process import Memory, Program, run_program
from gnnpack.bench.models import make_model
from gnnpack.bench.runners import SKIPPED, Measured, Runner, check_split, make_runners
from gnnpack.bench.section import PYG
from gnnpack.bench.training_runs import measure_runs
from gnnpack.objective import MAE
from gnnpack.packing import one_per_pack


@pytest.fixture
def wanted(tmp_path):
    return bench.OverviewSettings(
        dataset="synthetic",
        num_molecules=60,
        data_dir=str(tmp_path / "data"),
        hidden_channels=8,
        num_interactions=1,
        repeats=2,
        sections=("train_run",),
        batch_size=(8,),
        run_molecules=16,
    )


@pytest.fixture
def data(wanted):
    return bench.open_data(wanted)


def test_updates_are_those_of_the_loader(data):
    plan = training_plan(data, seed=3)
    updates = epoch_updates(plan, 8, seed=3)
    batches = list(training_loader(data, plan, 8, seed=3, depth=0))
    assert len(updates) == len(batches) > 3
    assert sorted(np.concatenate(updates)) == list(range(48))
    for update, batch in zip(updates, batches):
        target = data.run.values[data.train.rows[update]].astype(np.float32)
        found = batch.target[batch.molecule_mask].numpy()
        assert sorted(found.tolist()) == sorted(target.tolist())
        assert len(update) == int(batch.step_molecules[0])


def test_pygs_run_trains_the_same_network_on_the_updates(data, wanted, tmp_path, monkeypatch):
    pytest.importorskip("torch_geometric")
    updates = epoch_updates(training_plan(data, 0), 8, 0)
    threads = torch.get_num_threads()
    job = pyg_run.Job(
        store=str(data.store.path),
        model=(8, 1, wanted.num_gaussians, wanted.cutoff),
        readout=(data.run.readout, *data.scale),
        lr=0.0,
        seed=wanted.seed,
        threads=threads,
        skipped=1,
    )
    rows = [data.train.rows[update] for update in updates]
    pyg_run.write_job(job, rows, data.run.values, tmp_path / "job")
    monkeypatch.setattr("sys.argv", ["pyg_run", str(tmp_path / "job")])
    pyg_run.main()
    summary = json.loads((tmp_path / "job" / "summary.json").read_text(encoding="utf-8"))
    assert summary["train_molecules_per_second"] > 0
    # A rate of 0 leaves the weights alone, so each loss is that of the first weights.
    model, losses = make_model(data, wanted), []
    for one in rows:
        source = data.source_of(one)
        batch = whole_batch(source, one_per_pack(source.num_atoms, shapes(data)[1]))
        losses.append(MAE()(model(batch), batch).item())
    assert summary["losses"] == pytest.approx(losses, rel=1e-4)


def test_runs_make_the_updates_they_are_said_to(data, wanted):
    updates = [np.arange(8)] * 100
    settings = bench.OverviewSettings(**{**wanted.__dict__, "run_molecules": 8 * 40})
    found = make_runners(data, True, updates, 8, settings)
    assert {name: one.updates for name, one in found.items()} == {
        "packed": SKIPPED + 40,
        "plain": SKIPPED + 10,
        PYG: 2 + 10,
    }
    few = make_runners(data, True, updates[:4], 8, settings)
    assert {name: one.updates for name, one in few.items()} == dict.fromkeys(found, 4)
    assert "trainer.limit_train_batches=50" in found["packed"].facts["overrides"]


def test_overrides_compose_to_the_run_that_is_compared(data, wanted, compose):
    for runner in make_runners(data, False, [np.arange(8)] * 9, 8, wanted).values():
        cfg = compose(*runner.facts["overrides"])
        assert (cfg.batch_size, cfg.data_dir) == (8, wanted.data_dir)
        assert cfg.model.hidden_channels == wanted.hidden_channels
        assert cfg.trainer.max_epochs == 1


def some_runs(memory):
    """Runs of known rates: ours 10, 40; PyG's 5, 10."""

    def runner(label, *rates):
        left = list(rates)
        return Runner(label, lambda folder: Measured(left.pop(0), memory, 0.25), 12, {"more": 1})

    return lambda *_: {"packed": runner("ours", 10.0, 40.0), PYG: runner("PyG", 5.0, 10.0)}


def test_ratios_are_taken_inside_each_round(data, wanted, monkeypatch):
    memory = Memory(after_imports=100_000_000, peak=150_000_000)
    monkeypatch.setattr(training_runs, "make_runners", some_runs(memory))
    section = measure_runs(data, None, 8, wanted)
    ours, theirs = section.rows
    assert ours.times_baseline == pytest.approx((3.0, 2.2, 3.8))
    assert theirs.times_baseline == (1.0, 1.0, 1.0)
    assert ours.seconds.median == pytest.approx((1000 / 10 + 1000 / 40) / 2)
    assert ours.facts == {"updates": 12, "peak_MB": 50.0, "input_wait_percent": 25.0, "more": 1}
    assert "PyG's run rises 1.0 times as high" in section.note


def test_memory_that_is_not_known_is_left_out(data, wanted, monkeypatch):
    monkeypatch.setattr(training_runs, "make_runners", some_runs(None))
    section = measure_runs(data, None, 8, wanted)
    assert section.rows[0].facts["peak_MB"] is None
    assert "rises" not in section.note


def test_an_epoch_of_one_update_has_no_rate(data, wanted):
    assert measure_runs(data, None, 1_000, wanted) is None


def test_a_run_on_other_molecules_is_refused(data, tmp_path):
    ids = np.sort(data.store.ids[data.run.split.train])
    np.savez(tmp_path / "same.npz", train=ids)
    check_split(data, tmp_path / "same.npz")
    np.savez(tmp_path / "other.npz", train=ids[1:])
    with pytest.raises(ValueError, match="another split"):
        check_split(data, tmp_path / "other.npz")


@pytest.mark.slow
def test_a_program_that_fails_is_said_with_its_last_words(tmp_path):
    with pytest.raises(ValueError, match=r"(?s)of gnnpack.commands.main:main speed failed.*speed"):
        run_program(Program("gnnpack.commands.main:main", ["speed"]), tmp_path)


@pytest.mark.slow
def test_runs_from_end_to_end(data, wanted):
    report = bench.overview(data, wanted, ["gnnpack"])
    (section,) = (one for one in report["sections"] if one["name"] == "train_run_8")
    assert [row["name"] for row in section["rows"]][:2] == ["packed", "plain"]
    for row in section["rows"]:
        assert row["repeats"] == 2
        assert row["molecules_per_second"]["median"] > 0
        if sys.platform == "linux":
            assert row["facts"]["peak_MB"] > 0
