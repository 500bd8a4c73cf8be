"""A run, from config to summary."""

from __future__ import annotations

import csv
import errno
import json
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf

from gnnpack import tracking
from gnnpack.run import load_checkpoint, run
from gnnpack.run.evaluate import evaluate_checkpoint


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def losses(folder: Path) -> list[str]:
    return [row["train/loss"] for row in rows_of(folder) if row["train/loss"]]


def weights(folder: Path, name: str = "last.ckpt") -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "checkpoints" / name)["state_dict"]


def assert_same_weights(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def test_a_run_leaves_what_the_readme_promises(finished):
    files = {str(path.relative_to(finished)) for path in finished.rglob("*") if path.is_file()}
    assert {
        "config.yaml",
        "overrides.yaml",
        "run.json",
        "split.npz",
        "metrics.csv",
        "summary.json",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "figures/loss.png",
        "figures/predicted_against_true.png",
        "figures/pack_fill.png",
    } <= files


def test_summary_has_its_keys_and_they_agree_with_each_other(finished):
    summary = json.loads((finished / "summary.json").read_text())
    in_mev = {"test_mae_meV", "val_mae_meV", "baseline_mae_meV"}
    assert set(summary) == set(tracking.SUMMARY_KEYS) | in_mev
    assert summary["test_mae_meV"] == pytest.approx(1000 * summary["test_mae"])
    assert summary["num_epochs"] == 2
    assert summary["num_packs"] >= summary["pack_lower_bound"] > 0
    assert 0 < summary["atom_efficiency"] <= 1
    assert 0 <= summary["input_wait_fraction"] <= 1
    rows = rows_of(finished)
    assert summary["updates"] == max(float(row["updates"] or 0) for row in rows)
    assert summary["val_mae"] == pytest.approx(
        min(float(row["val/mae"]) for row in rows if row["val/mae"])
    )


def test_config_and_record_tell_what_ran(finished):
    cfg = OmegaConf.load(finished / "config.yaml")
    assert cfg.dataset.num_molecules == 80
    record = json.loads((finished / "run.json").read_text())
    assert record["seeds"] == {"run": 0, "split": 0}
    assert record["data"]["dataset"] == "synthetic"
    with np.load(finished / "split.npz") as split:
        ids = np.concatenate([split[part] for part in ("train", "val", "test")])
    assert sorted(ids) == list(range(80))


def test_a_seeded_run_is_bit_identical_twice(small, tmp_path, finished):
    run(small(), tmp_path / "again")
    assert losses(tmp_path / "again") == losses(finished)
    assert_same_weights(weights(tmp_path / "again"), weights(finished))
    run(small("seed=1"), tmp_path / "other")
    assert losses(tmp_path / "other") != losses(finished)


# Five updates of the smoke experiment's model. A change that means to leave the mathematics alone
# leaves these alone; one that changes it says so, and puts the new values here.
GOLDEN = [1.0261114, 1.0340439, 1.1498419, 1.0223221, 0.32419825]


def test_five_seeded_steps_have_known_losses(finished):
    assert [float(loss) for loss in losses(finished)[:5]] == pytest.approx(GOLDEN, rel=1e-5)


def test_packing_does_not_change_what_is_learnt(small, tmp_path):
    """One update of the whole training split: same molecules, so same weights, any packer."""
    found = []
    for packer in ("one_per_pack", "lpfhp", "next_fit", "first_fit_decreasing"):
        run(
            small(
                f"packer={packer}",
                "batch_size=64",
                "trainer.max_epochs=3",
                "accelerator.precision=64-true",
                "schedule=constant",
                # Not Adam, whose steps hardly change with the size of the gradient.
                "optimizer=sgd",
                "optimizer.lr=1e-2",
            ),
            tmp_path / packer,
        )
        found.append(weights(tmp_path / packer))
    for other in found[1:]:
        for name, tensor in found[0].items():
            torch.testing.assert_close(other[name], tensor, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("accumulate", [2, 3])
def test_accumulation_does_not_change_what_is_learnt(small, tmp_path, accumulate):
    common = ("accelerator.precision=64-true", "schedule=constant", "packer=one_per_pack")
    common += ("optimizer=sgd", "optimizer.lr=1e-2")
    # Whole updates only: 64 molecules in two or four updates.
    common += ("batch_size=32",) if accumulate == 2 else ("batch_size=66",)
    run(small(*common), tmp_path / "whole")
    run(small(*common, f"trainer.accumulate_grad_batches={accumulate}"), tmp_path / "parts")
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    for name, tensor in whole.items():
        torch.testing.assert_close(parts[name], tensor, rtol=1e-7, atol=1e-9)
    # What is logged is the loss of the update, not of its last micro-batch.
    logged = [[float(loss) for loss in losses(tmp_path / name)] for name in ("whole", "parts")]
    assert logged[0] == pytest.approx(logged[1], rel=1e-6)


@pytest.mark.parametrize("references", ["fitted", "none"])
def test_other_references_train_and_are_kept_with_the_checkpoint(small, tmp_path, references):
    summary = run(small(f"dataset.references={references}"), tmp_path / "run")
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    assert evaluate_checkpoint(best)["mae"] == pytest.approx(summary["test_mae"], rel=1e-6)
    kept = np.array(load_checkpoint(best)["gnnpack"]["references"])
    assert kept.any() == (references == "fitted")
    # Fitted to the data, they explain more of it than nothing does.
    published = run(small(), tmp_path / "published")
    assert (summary["baseline_mae"] < 2 * published["baseline_mae"]) == (references == "fitted")


def test_an_intensive_target_is_averaged(small, tmp_path):
    summary = run(small("dataset.target=dipole"), tmp_path / "run")
    assert summary["unit"] == "D"
    assert "test_mae_meV" not in summary
    assert weights(tmp_path / "run")["model.readout.std"] > 0


def test_nan_in_the_loss_ends_the_run_with_the_update_named(small, tmp_path):
    with pytest.raises(ValueError, match=r"training loss is (nan|inf) at update .*optimizer\.lr"):
        run(small("optimizer.lr=1e30", "schedule=constant"), tmp_path / "run")


def test_a_pack_too_small_for_the_largest_molecule_is_refused(small, tmp_path):
    with pytest.raises(ValueError, match=r"Molecule number \d+ of .* has \d+ atoms.*shape\.num_at"):
        run(small("shape.num_atoms=4"), tmp_path / "run")


def test_a_target_that_does_not_exist_lists_those_that_do(small, tmp_path):
    with pytest.raises(Exception, match=r"(?s)'gap'.*Available: energy"):
        run(small("dataset.target=gap"), tmp_path / "run")


def test_a_pair_limit_is_refused_by_packers_that_know_atoms_only(small, tmp_path):
    with pytest.raises(ValueError, match="num_pairs"):
        run(small("shape.num_pairs=300"), tmp_path / "run")


@pytest.mark.parametrize(
    "callbacks",
    ["default", pytest.param("ema", marks=pytest.mark.weight_average), "early_stopping"],
)
def test_the_weights_tested_are_those_of_the_best_checkpoint(small, tmp_path, callbacks):
    summary = run(small(f"callbacks={callbacks}"), tmp_path / "run")
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    for part in ("test", "val"):
        errors = evaluate_checkpoint(best, part)
        assert errors["mae"] == pytest.approx(summary[f"{part}_mae"], rel=1e-6)


@pytest.mark.weight_average
def test_a_moving_average_is_what_best_keeps(small, tmp_path):
    run(small("callbacks=ema", "callbacks.ema.decay=0.5"), tmp_path / "run")
    best = load_checkpoint(tmp_path / "run" / "checkpoints" / "best.ckpt")
    trained = best["current_model_state"]
    assert any(not torch.equal(v, trained[k]) for k, v in best["state_dict"].items())


@pytest.mark.parametrize(
    "overrides",
    [
        ["trainer.max_steps=3"],
        ["trainer.max_steps=7"],
        ["trainer.max_epochs=3", "trainer.check_val_every_n_epoch=2"],
        ["trainer.max_epochs=-1", "trainer.max_steps=3"],
    ],
    ids=str,
)
def test_however_a_run_ends_its_last_update_is_validated_and_kept(small, tmp_path, overrides):
    summary = run(small(*overrides), tmp_path / "run")
    kept = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert kept["global_step"] == summary["updates"] > 0
    validated = [float(row["updates"]) for row in rows_of(tmp_path / "run") if row["val/mae"]]
    assert validated[-1] == summary["updates"]


def test_a_run_without_time_for_an_update_says_so(small, tmp_path):
    with pytest.raises(ValueError, match=r"ended after 0 updates without a validation.*max_time"):
        run(small("trainer.max_time=00:00:00:00", "schedule=constant"), tmp_path / "run")


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
@pytest.mark.parametrize("model", ["cutoff", "dense", "plain"])
def test_every_precision_trains_and_predicts_in_at_least_float32(small, tmp_path, precision, model):
    form = {"plain": "model.compiled=false"}.get(model, f"model.neighbours={model}")
    exact = run(small("accelerator.precision=32-true", form), tmp_path / "exact")
    summary = run(small(f"accelerator.precision={precision}", form), tmp_path / "run")
    # bf16 keeps three digits: the errors differ by what that rounding makes, and no more.
    assert summary["test_mae"] == pytest.approx(exact["test_mae"], rel=0.1)
    kept = weights(tmp_path / "run", "best.ckpt")
    assert kept["model.embedding.weight"].dtype == {"64-true": torch.float64}.get(
        precision, torch.float32
    )


@pytest.mark.parametrize("sizes", ["test: 0", "test: 1"])
def test_a_split_without_test_molecules_is_refused_before_training(small, tmp_path, sizes):
    overrides = f"dataset.split={{train: 60, val: 19, {sizes}, file: null, seed: 0}}"
    if sizes == "test: 1":
        assert run(small(overrides), tmp_path / "run")["test_mae"] > 0
        return
    with pytest.raises(ValueError, match="leaves no molecules for test"):
        run(small(overrides), tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.csv").exists()


def test_a_pair_limit_is_kept_by_packers_that_know_pairs(small, tmp_path):
    free = run(small("packer=next_fit"), tmp_path / "free")
    tight = run(small("packer=next_fit", "shape.num_pairs=300"), tmp_path / "tight")
    assert tight["num_packs"] > free["num_packs"]


def test_checkpoints_can_be_switched_off(small, tmp_path):
    summary = run(
        small("callbacks.checkpoint_best=null", "callbacks.checkpoint_last=null"), tmp_path / "run"
    )
    assert summary["test_mae"] > 0
    assert not list((tmp_path / "run").rglob("*.ckpt"))


def test_a_full_disk_is_told_with_the_place_and_the_cure(small, tmp_path, monkeypatch):
    def refuse(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "best.ckpt")

    monkeypatch.setattr(pl.Trainer, "save_checkpoint", refuse)
    with pytest.raises(OSError, match=r"disk is full.*free some space.*best\.ckpt"):
        run(small(), tmp_path / "run")


def test_an_error_that_is_not_the_disks_is_left_alone(small, tmp_path, monkeypatch):
    def refuse(*args: object, **options: object) -> None:
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr(pl.Trainer, "save_checkpoint", refuse)
    with pytest.raises(OSError, match=r"^\[Errno .*Address already in use$"):
        run(small(), tmp_path / "run")


def test_the_log_holds_the_table(small, tmp_path, caplog):
    with caplog.at_level("INFO"):
        run(small(), tmp_path / "run")
    assert "test MAE (meV)" in caplog.text


@pytest.mark.parametrize(
    "overrides",
    [
        ["accelerator.device_iterations=1"],
        ["accelerator.device_iterations=4"],
        ["accelerator.device_iterations=4", "loader=resident"],
        ["loader=resident"],
        ["loader=resident", "loader.prefetch=0"],
        ["loader=host", "loader.prefetch=1"],
    ],
    ids=str,
)
def test_how_updates_are_called_and_fed_changes_no_bit(small, tmp_path, finished, overrides):
    """Five updates an epoch, so calls of four end with one of one."""
    summary = run(small(*overrides), tmp_path / "run")
    assert losses(tmp_path / "run") == losses(finished)
    for name in ("last.ckpt", "best.ckpt"):
        assert_same_weights(weights(tmp_path / "run", name), weights(finished, name))
    expected = json.loads((finished / "summary.json").read_text())
    for key in ("test_mae", "val_mae", "updates", "num_epochs"):
        assert summary[key] == expected[key], key


@pytest.mark.parametrize(
    "callbacks", ["default", pytest.param("ema", marks=pytest.mark.weight_average)]
)
def test_several_updates_a_call_keep_the_same_average(small, tmp_path, callbacks):
    settings = (f"callbacks={callbacks}", "trainer.gradient_clip_val=1.0")
    plain = run(small(*settings), tmp_path / "plain")
    whole = run(small(*settings, "accelerator.device_iterations=4"), tmp_path / "whole")
    assert losses(tmp_path / "whole") == losses(tmp_path / "plain")
    assert whole["test_mae"] == plain["test_mae"]
    for name in ("last.ckpt", "best.ckpt"):
        assert_same_weights(weights(tmp_path / "whole", name), weights(tmp_path / "plain", name))
