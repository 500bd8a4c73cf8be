"""Whole runs on emulated IPUs, from config to summary and back."""

from __future__ import annotations

import json
import time

import pytest
from hydra.errors import InstantiationException

from gnnpack.run import load_checkpoint, run
from gnnpack.run.evaluate import evaluate_checkpoint

EMULATED = ("accelerator=ipu_emulator", "accelerator.replicas=2", "accelerator.device_iterations=2")
EXACT = "model.filter=exact"


def test_a_run_says_that_it_is_emulated_and_its_checkpoint_runs_anywhere(small, tmp_path, caplog):
    with caplog.at_level("INFO"):
        summary = run(small(*EMULATED), tmp_path / "run")
    assert summary["emulated"] is True
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["emulated"] is True
    assert "emulated: not an IPU's" in caplog.text
    # Tables are of no use to an IPU, so nothing is said of them.
    assert "knots" not in caplog.text
    errors = evaluate_checkpoint(tmp_path / "run", accelerator="cpu")
    assert errors["mae"] == pytest.approx(summary["test_mae"], rel=1e-3)


def test_the_same_config_learns_the_same_on_a_cpu(small, tmp_path):
    # One device iteration: no empty updates, which would let the moments move the weights.
    settings = (EXACT, "trainer.max_epochs=1", "schedule=constant")
    on_ipu = run(small(*EMULATED[:2], *settings), tmp_path / "ipu")
    on_cpu = run(small(*settings), tmp_path / "cpu")
    assert on_cpu["emulated"] is False
    for key in ("updates", "num_packs", "baseline_mae"):
        assert on_ipu[key] == on_cpu[key], key
    assert on_ipu["test_mae"] == pytest.approx(on_cpu["test_mae"], rel=1e-4)


def test_neighbours_that_are_cut_are_counted(small, tmp_path, caplog):
    settings = ("model.neighbours=knn", "model.num_neighbours=3", "trainer.max_epochs=1")
    with caplog.at_level("INFO"):
        run(small(*settings), tmp_path / "few")
    assert "knn    3 nearest of each atom" in caplog.text
    caplog.clear()
    with caplog.at_level("INFO"):
        run(small(*settings, "model.num_neighbours=28"), tmp_path / "all")
    assert "knn    28 nearest: none is cut" in caplog.text


def test_offline_a_run_compiles_and_ends(small, tmp_path, caplog):
    offline = ("accelerator.connection=never", f"accelerator.executable_cache={tmp_path / 'kept'}")
    with caplog.at_level("INFO"):
        assert run(small(*EMULATED, *offline), tmp_path / "run") == {}
    assert "Both programs trace" in caplog.text


# Published shapes; fewer replicas and accumulated micro-batches, and fewer molecules.
SMALLER = (
    "accelerator=ipu_emulator",
    "accelerator.replicas=2",
    "accelerator.gradient_accumulation=2",
    "accelerator.device_iterations=2",
    "accelerator.micro_batch=1",
    "model.hidden_channels=8",
    "trainer.max_epochs=1",
    "trainer.log_every_n_steps=1",
    "logger=csv",
)


SIZES = {
    "hydronet_small": "hydronet_500k",
    "hydronet_medium": "hydronet_2.7m",
    "hydronet_large": "hydronet_4.5m",
}


@pytest.mark.parametrize("name", ["qm9", *SIZES])
def test_the_paper_s_runs_make_a_few_steps(name, compose, tmp_path):
    settings = [f"experiment=paper_{name}_ipu", *SMALLER]
    # Made molecules of the data set's sizes: its files are not here.
    settings += ["dataset=synthetic", "dataset.split={train: 0.8, val: 0.1}"]
    if name != "qm9":
        settings += ["~dataset.subset", f"dataset.sizes={SIZES[name]}"]
    cfg = compose(*settings, "dataset.num_molecules=60")
    summary = run(cfg, tmp_path / "run")
    assert summary["updates"] >= 4
    kept = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert kept["global_step"] == summary["updates"]


def test_wandb_has_the_losses_of_every_update(small, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    run(small(*EMULATED, "logger=wandb", "trainer.max_epochs=1"), tmp_path / "run")
    kept = (tmp_path / "run" / "wandb_id.txt").read_text().strip()
    (file,) = (tmp_path / "run" / "wandb").glob(f"offline-run-*/run-{kept}.wandb")
    # wandb.finish returns some milliseconds before wandb's own process has written the file.
    for _ in range(500):
        if b"train/loss" in file.read_bytes():
            break
        time.sleep(0.01)
    content = file.read_bytes()
    assert b"train/loss" in content
    assert b"val/mae" in content


@pytest.mark.parametrize(
    "overrides, words",
    [
        (("accelerator=ipu_emulator", "accelerator.replicas=3"), "powers of two"),
        (("accelerator=cpu", "accelerator.devices=0"), "devices is 0"),
    ],
)
def test_an_accelerator_that_cannot_be_is_refused_before_data_are_read(
    small, tmp_path, overrides, words
):
    with pytest.raises(InstantiationException, match=words):
        run(small(*overrides), tmp_path / "run")
    assert not (tmp_path / "data").exists()


def test_what_does_not_fit_is_told_with_the_cure(small, tmp_path, caplog):
    offline = ("accelerator.connection=never", f"accelerator.executable_cache={tmp_path}")
    large = ("model.hidden_channels=256", "batch_size=1024", "dataset.num_molecules=600")
    with caplog.at_level("INFO"):
        run(small("accelerator=ipu_emulator", *large, *offline), tmp_path / "run")
    assert "likely does not fit" in caplog.text
    assert "accelerator.micro_batch=4 batch_size=null" in caplog.text
    assert "nothing is compiled or written" in caplog.text
