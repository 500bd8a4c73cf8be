"""What every run measures of itself, its profiles and its trace."""

from __future__ import annotations

import json

import pytest
import torch

from gnnpack.batching import packs_per_update
from gnnpack.bench.best_rate import best_rate
from gnnpack.run import floor, load_checkpoint, run
from gnnpack.run.config_check import check_config
from tests.run.test_resume import resume
from tests.run.test_run import rows_of


def summary_of(folder) -> dict:
    return json.loads((folder / "summary.json").read_text())


@pytest.fixture
def known_machine(monkeypatch):
    """A machine of a gigaflop a second."""
    asked = []

    def rate(device, rows, channels, dtype, *, seconds):
        asked.append((str(device), rows, channels, dtype, seconds))
        return 1e9

    monkeypatch.setattr("gnnpack.bench.best_rate.best_rate", rate)
    return asked


def slots_of_training(folder, multiple_of: int = 1) -> tuple[int, int]:
    """Atoms of the training split, and slots of its packs in whole updates, of one epoch."""
    summary = summary_of(folder)
    num_packs, size = summary["num_packs"], summary["pack_atoms"]
    each = packs_per_update(16, num_packs=num_packs, num_molecules=64, multiple_of=multiple_of)
    updates = summary["updates"] // summary["num_epochs"]
    return round(summary["atom_efficiency"] * num_packs * size), updates * each * size


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["trainer.accumulate_grad_batches=2"],
        ["loader=resident"],
        ["accelerator.device_iterations=4"],
        ["accelerator.device_iterations=4", "loader=resident"],
    ],
    ids=str,
)
def test_filler_is_that_of_the_packs_trained_on(small, tmp_path, overrides):
    summary = run(small(*overrides), tmp_path / "run")
    accumulated = 2 if "accumulate" in str(overrides) else 1
    atoms, slots = slots_of_training(tmp_path / "run", accumulated)
    assert 0 < atoms < slots
    assert summary["filler_fraction"] == pytest.approx(1 - atoms / slots)
    assert summary["filler_fraction"] >= 1 - summary["atom_efficiency"]


def test_figures_agree_with_each_other(small, tmp_path):
    summary = run(small("trainer.max_epochs=4"), tmp_path / "run")
    assert 0 < summary["molecules_per_second_p10"] <= summary["molecules_per_second_median"]
    assert summary["molecules_per_second_median"] <= summary["molecules_per_second_p90"]
    assert summary["num_windows"] >= 1
    steps = [summary[f"step_seconds_p{p}"] for p in (10, 50, 90, 99)]
    assert steps == sorted(steps)
    assert 0 < summary["train_seconds"] < summary["wall_seconds"]
    assert summary["compile_seconds"] >= 0
    assert 1e7 < summary["peak_host_bytes"] < 1e12
    assert summary["peak_device_bytes"] is summary["capture_seconds"] is None
    per_molecule = summary["atoms_per_second_median"] / summary["molecules_per_second_median"]
    assert 2 < per_molecule < 40
    row = next(row for row in rows_of(tmp_path / "run") if row["train/atoms_per_second"])
    assert float(row["train/filler_fraction"]) == pytest.approx(summary["filler_fraction"], abs=0.1)


@pytest.mark.parametrize("filter", ["tabulated", "exact"])
def test_percent_of_floor_is_the_work_over_the_time(small, tmp_path, known_machine, filter):
    form = f"model.filter={filter}"
    summary = run(small(form), tmp_path / "run")
    ((device, rows, channels, dtype, seconds),) = known_machine
    assert (device, channels, dtype) == ("cpu", 8, torch.float32)
    assert 0 < seconds <= floor.MEASURE_SECONDS
    updates = summary["updates"] / summary["num_epochs"]
    atoms, _ = slots_of_training(tmp_path / "run")
    assert rows == round(atoms / updates)
    updates_per_second = summary["molecules_per_second_median"] / (64 / updates)
    flop = summary["percent_of_floor"] / 100 * 1e9 / updates_per_second
    # Dense layers of 2 blocks of width 8, both passes; filters come on top.
    dense = 3 * 2 * (rows * (2 * (3 * 64) + 32 + 4) - (rows - 100) * 64 * (filter == "tabulated"))
    assert flop > dense
    if filter == "exact":
        # A multiply-add for each of 8 Gaussians twice and 8 channels three times.
        pairs = (flop - dense) / (2 * 2 * (2 * 64 + 3 * 64))
        assert rows < pairs < 20 * rows


def test_work_that_frozen_parameters_save_is_not_counted(small, tmp_path, known_machine):
    run(small(), tmp_path / "before")
    begun = [f"checkpoint={tmp_path / 'before'}", "finetune.freeze=[embedding,0]"]
    known_machine.clear()
    assert run(small(*begun), tmp_path / "run")["percent_of_floor"] is None
    assert known_machine == []


@pytest.mark.parametrize("overrides", [["model.neighbours=dense"], ["model.neighbours=knn"]])
def test_work_that_nobody_counts_has_no_floor(small, tmp_path, known_machine, overrides):
    assert run(small(*overrides), tmp_path / "run")["percent_of_floor"] is None
    assert known_machine == []


@pytest.mark.parametrize(
    "precision, device, dtypes",
    [
        ("32-true", "cpu", [torch.float32]),
        ("64-true", "cuda", [torch.float64]),
        ("bf16-mixed", "cuda", [torch.bfloat16]),
        ("bf16-mixed", "cpu", [torch.bfloat16, torch.float32]),
        ("16-mixed", "cuda", [torch.float16]),
    ],
)
def test_the_machine_is_measured_in_the_trainings_precision(precision, device, dtypes):
    assert floor._dtypes(precision, torch.device(device)) == dtypes


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_best_rate_is_one_of_this_machine(dtype, monkeypatch):
    monkeypatch.setattr("gnnpack.bench.best_rate.LARGE_CPU", 64)
    assert 1e6 < best_rate("cpu", 32, 16, dtype, seconds=0.001) < 1e15


def test_a_resumed_run_adds_up(small, tmp_path):
    before = run(small("schedule=constant"), tmp_path / "run")
    kept = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert kept["callbacks"]["Metering"]["totals"][0] == 128
    after = resume(small, tmp_path / "run", "trainer.max_epochs=4")
    assert after["train_seconds"] > kept["callbacks"]["Metering"]["train_seconds"]
    kept = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert kept["callbacks"]["Metering"]["totals"][0] == 4 * 64
    assert after["filler_fraction"] == pytest.approx(before["filler_fraction"])


def test_live_json_ends_with_done(finished):
    live = json.loads((finished / "live.json").read_text())
    assert live["unit"] == "eV"
    assert (live["phase"], live["epoch"], live["updates"]) == ("done", 2, 10)
    assert live["total_updates"] == 10
    assert live["val_mae"] > 0
    last = [row for row in rows_of(finished) if row["train/loss"]][-1]
    assert live["loss"] == pytest.approx(float(last["train/loss"]))


def test_a_validation_has_its_seconds_of_training(finished):
    rows = [row for row in rows_of(finished) if row.get("val/mae")]
    seconds = [float(row["train/seconds"]) for row in rows]
    assert len(seconds) == 2
    assert 0 < seconds[0] < seconds[1]
    assert seconds[-1] == pytest.approx(summary_of(finished)["train_seconds"])


def test_a_refused_resume_leaves_live_json_as_it_was(small, finished):
    before = (finished / "live.json").read_text()
    with pytest.raises(ValueError, match="planned for 10 updates"):
        resume(small, finished, "trainer.max_epochs=5")
    assert (finished / "live.json").read_text() == before


# --- profilers ---


@pytest.mark.parametrize("name", ["simple", "advanced", "pytorch"])
def test_a_profile_lies_in_the_run_folder_and_is_told(small, tmp_path, name, caplog, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with caplog.at_level("INFO"):
        run(small(f"trainer.profiler={name}", "trainer.max_epochs=1"), tmp_path / "run")
    words = {"simple": "run_training_batch", "advanced": "function calls", "pytorch": "Self CPU"}
    (file,) = (tmp_path / "run").glob("profile.txt" if name == "pytorch" else "fit-profile*.txt")
    assert words[name] in file.read_text()
    assert any(text.startswith("profile") and str(file) in text for text in caplog.messages)
    assert {path.name for path in tmp_path.iterdir()} <= {"run", "data"}


# After the first epoch.
STOP = (
    "+callbacks.stop={_target_: pytorch_lightning.callbacks.EarlyStopping, monitor: val/mae, "
    "stopping_threshold: 1e9}",
)


def events_of(file) -> list[dict]:
    return json.loads(file.read_text())["traceEvents"]


def test_a_trace_holds_the_models_operations_of_some_steps(small, tmp_path, caplog):
    with caplog.at_level("INFO"):
        run(small("trainer.profiler=trace", "trainer.max_epochs=4"), tmp_path / "run")
    file = tmp_path / "run" / "trace.json"
    assert any("trace of 4 host steps" in text and str(file) in text for text in caplog.messages)
    names = [event.get("name", "") for event in events_of(file)]
    assert len({name for name in names if name.startswith("ProfilerStep#")}) == 4
    assert "aten::mm" in names
    # The compiled network's own passes.
    assert {"_Compiled", "_CompiledBackward"} <= set(names)


@pytest.mark.parametrize(
    "overrides, steps",
    [
        (["trainer.max_epochs=1", "trainer.limit_train_batches=1"], 1),
        (["trainer.max_epochs=1", "trainer.limit_train_batches=3"], 2),
        (["trainer.max_epochs=-1", "trainer.max_steps=4"], 3),
        (["accelerator.device_iterations=4"], 3),
    ],
    ids=str,
)
def test_a_short_run_is_traced_as_far_as_it_goes(small, tmp_path, overrides, steps):
    run(small("trainer.profiler=trace", *overrides), tmp_path / "run")
    names = {event.get("name", "") for event in events_of(tmp_path / "run" / "trace.json")}
    assert sum(name.startswith("ProfilerStep#") for name in names) == steps


def test_the_rest_of_a_resumed_run_is_traced_as_far_as_it_goes(small, tmp_path, caplog):
    run(small("schedule=constant"), tmp_path / "run")
    resume(small, tmp_path / "run", "trainer.max_epochs=3", "trainer.profiler=trace")
    names = {event.get("name", "") for event in events_of(tmp_path / "run" / "trace.json")}
    assert sum(name.startswith("ProfilerStep#") for name in names) == 4
    assert "recorded nothing" not in caplog.text
    # Ends before it was meant to, so what was meant to be recorded never came.
    run(small("trainer.profiler=trace", "trainer.max_epochs=9", *STOP), tmp_path / "stopped")
    assert "recorded nothing: the training ended after 5 host steps" in caplog.text


def test_another_profiler_is_refused_with_those_there_are(small):
    said = r"trainer\.profiler is 'fast'; choose one of simple, advanced, pytorch, trace, or null"
    with pytest.raises(ValueError, match=said):
        check_config(small("trainer.profiler=fast"))
    check_config(small("trainer.profiler={_target_: x.y}"))
