"""A resumed run is the run that was never interrupted."""

from __future__ import annotations

import json
import shutil
import time

import pytest
import torch
from omegaconf import OmegaConf

from gnnpack.commands.resume import resumed_config
from gnnpack.run import load_checkpoint, run
from gnnpack.tracking.wandb_parts import find_local_runs, has_ended
from gnnpack.training import MoleculeRegression
from tests.run.test_run import assert_same_weights, losses, rows_of, weights


def resume(small, folder, *overrides):
    typed = [f"resume={folder}", *overrides]
    cfg, checkpoint = resumed_config(small(*typed), typed)
    return run(cfg, folder, overrides=typed, checkpoint=checkpoint)


@pytest.mark.parametrize(
    "callbacks", ["default", pytest.param("ema", marks=pytest.mark.weight_average)]
)
def test_resumed_at_an_epoch_border_equals_uninterrupted(small, tmp_path, callbacks):
    # A schedule of known length depends on max_epochs, so the first part asks for all three.
    settings = ("schedule=constant", f"callbacks={callbacks}")
    whole = run(small(*settings, "trainer.max_epochs=3"), tmp_path / "whole")
    run(small(*settings, "trainer.max_epochs=1"), tmp_path / "parts")
    parts = resume(small, tmp_path / "parts", "trainer.max_epochs=3")
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert_same_weights(weights(tmp_path / "parts"), weights(tmp_path / "whole"))
    for key in ("test_mae", "val_mae", "updates", "num_epochs", "num_packs"):
        assert parts[key] == whole[key], key


class Killed(Exception):
    """Stands for a power cut."""


def interrupt_after(monkeypatch, updates: int):
    """Let training die once, after so many updates."""
    state = {"alive": True}
    hook = MoleculeRegression.optimizer_step

    def die(self, *args, **options):
        if state["alive"] and self.trainer.global_step == updates:
            state["alive"] = False
            raise Killed
        return hook(self, *args, **options)

    monkeypatch.setattr(MoleculeRegression, "optimizer_step", die)


@pytest.mark.parametrize("updates", [5, 6, 9])
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(small, tmp_path, monkeypatch, updates):
    """One-cycle rates, killed in epoch 2 or 3: back to the last epoch border."""
    settings = ("trainer.max_epochs=3",)
    run(small(*settings), tmp_path / "whole")
    interrupt_after(monkeypatch, updates)
    with pytest.raises(Killed):
        run(small(*settings), tmp_path / "parts")
    resume(small, tmp_path / "parts")
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert_same_weights(weights(tmp_path / "parts"), weights(tmp_path / "whole"))


def test_an_interrupted_epoch_goes_on_with_the_molecules_not_seen_yet(small, tmp_path, monkeypatch):
    """Validation, and so a checkpoint, every two updates of five; killed at the ninth."""
    settings = ("trainer.max_epochs=3", "trainer.val_check_interval=2")
    run(small(*settings), tmp_path / "whole")
    interrupt_after(monkeypatch, 8)
    with pytest.raises(Killed):
        run(small(*settings), tmp_path / "parts")
    resume(small, tmp_path / "parts")
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert_same_weights(weights(tmp_path / "parts"), weights(tmp_path / "whole"))


def test_a_moved_run_remembers_its_best_error(small, tmp_path, monkeypatch):
    interrupt_after(monkeypatch, 9)
    with pytest.raises(Killed):
        run(small("trainer.max_epochs=3"), tmp_path / "before")
    moved = tmp_path / "with space, and=sign"
    shutil.move(tmp_path / "before", moved)
    kept = load_checkpoint(moved / "checkpoints" / "last.ckpt")
    # As if an earlier epoch had been the best by far.
    for state in kept["callbacks"].values():
        if "best_model_score" in state:
            state["best_model_score"] = torch.tensor(1e-6)
            state["best_k_models"] = dict.fromkeys(state["best_k_models"], torch.tensor(1e-6))
            state["kth_value"] = torch.tensor(1e-6)
    torch.save(kept, moved / "checkpoints" / "last.ckpt")
    best = (moved / "checkpoints" / "best.ckpt").read_bytes()
    cfg, checkpoint = resumed_config(small(f"resume='{moved}'"), [f"resume='{moved}'"])
    summary = run(cfg, moved, checkpoint=checkpoint)
    assert summary["val_mae"] == pytest.approx(1e-6)
    assert (moved / "checkpoints" / "best.ckpt").read_bytes() == best
    assert not (tmp_path / "before").exists()


def files_of(folder) -> dict[str, bytes]:
    """Name -> content of every file below."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def run_with_wandb(small, folder) -> None:
    run(small("logger=wandb"), folder)
    (found,) = find_local_runs([folder])
    # wandb.finish returns some milliseconds before wandb's own process has written the file.
    for _ in range(500):
        if has_ended(found.parts[0]):
            return
        time.sleep(0.01)


@pytest.mark.parametrize("checkpoint", ["last.ckpt", "best.ckpt"])
def test_a_refused_resume_leaves_every_file_as_it_was(small, tmp_path, monkeypatch, checkpoint):
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    folder = tmp_path / "run"
    run_with_wandb(small, folder)
    before = files_of(folder)
    assert {"metrics.csv", "live.json", "summary.json", "wandb_id.txt"} <= set(before)
    typed = [f"resume={folder}/checkpoints/{checkpoint}", "trainer.max_epochs=5"]
    cfg, path = resumed_config(small(*typed, "logger=wandb"), [*typed, "logger=wandb"])
    with pytest.raises(ValueError, match="planned for 10 updates"):
        run(cfg, folder, overrides=typed, checkpoint=path)
    assert files_of(folder) == before
    assert len(find_local_runs([folder])[0].parts) == 1


def test_a_resume_that_is_refused_can_be_given_again(small, finished):
    rows = rows_of(finished)
    with pytest.raises(ValueError, match="planned for 10 updates"):
        resume(small, finished, "trainer.max_epochs=5")
    assert rows_of(finished) == rows
    resume(small, finished)
    assert rows_of(finished)[:-1] == rows[:-1]


def test_a_run_that_fails_says_so_until_it_goes_on(small, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    interrupt_after(monkeypatch, 7)
    with pytest.raises(Killed):
        run(small(), folder)
    told = json.loads((folder / "live.json").read_text())
    assert told["phase"] == "failed"
    assert told["reason"].endswith("Killed")
    resume(small, folder)
    told = json.loads((folder / "live.json").read_text())
    assert told["phase"] == "done"
    assert "reason" not in told


def test_a_result_is_gone_while_the_run_goes_on(small, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    run(small("schedule=constant"), folder)
    interrupt_after(monkeypatch, 12)
    with pytest.raises(Killed):
        resume(small, folder, "trainer.max_epochs=3")
    assert not (folder / "summary.json").exists()
    assert resume(small, folder, "trainer.max_epochs=3")["num_epochs"] == 3


def test_wall_time_counts_all_parts(small, finished):
    before = json.loads((finished / "summary.json").read_text())["wall_seconds"]
    kept = load_checkpoint(finished / "checkpoints" / "last.ckpt")["callbacks"]["WallClock"]
    assert 0 < kept["seconds"] < before
    assert resume(small, finished)["wall_seconds"] > kept["seconds"]


def test_metrics_are_continued_and_not_repeated(small, tmp_path):
    run(small("schedule=constant"), tmp_path / "run")
    resume(small, tmp_path / "run", "trainer.max_epochs=4")
    rows = rows_of(tmp_path / "run")
    steps = [int(row["step"]) for row in rows if row["train/loss"]]
    assert steps == list(range(len(steps)))
    assert sum(1 for row in rows if row["val/mae"]) == 4


def test_the_records_of_earlier_starts_are_kept(small, tmp_path):
    folder = tmp_path / "run"
    run(small("schedule=constant"), folder)
    before = (folder / "run.json").read_text()
    for epochs in (3, 4):
        resume(small, folder, f"trainer.max_epochs={epochs}")
    assert (folder / "run.json").read_text() == before
    for file, epochs in (("run_resumed.json", 3), ("run_resumed_2.json", 4)):
        assert json.loads((folder / file).read_text())["argv"][1] == f"trainer.max_epochs={epochs}"


def test_a_checkpoint_can_be_named(small, finished):
    path = finished / "checkpoints" / "best.ckpt"
    cfg, checkpoint = resumed_config(small(f"resume={path}"), [f"resume={path}"])
    assert checkpoint == path
    assert cfg.dataset.num_molecules == 80


@pytest.mark.parametrize(
    "override, named",
    [
        ("dataset.num_molecules=90", r"dataset\.num_molecules .* from 80 to 90"),
        ("packer=one_per_pack", "packer"),
        ("shape.num_atoms=50", r"shape\.num_atoms"),
        ("model.hidden_channels=16", r"model\.hidden_channels"),
        ("seed=3", "seed"),
        ("optimizer.lr=1", r"optimizer\.lr"),
        ("experiment=smoke", "experiment"),
        ("hydra.run.dir=elsewhere", r"hydra\.run\.dir"),
    ],
)
def test_what_must_not_change_is_refused_by_name(small, finished, override, named):
    typed = [f"resume={finished}", override]
    with pytest.raises(
        ValueError, match=rf"(?s){named}.*may change only trainer, logger, accelerator"
    ):
        resumed_config(small(*typed), typed)


def test_what_is_typed_again_unchanged_is_no_change(small, finished):
    typed = [f"resume={finished}", "packer=lpfhp", "seed=0", "dataset=synthetic"]
    cfg, _ = resumed_config(small(*typed), [typed[0], "packer=lpfhp", "seed=0"])
    assert cfg == OmegaConf.merge(OmegaConf.load(finished / "config.yaml"))


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_a_schedule_of_known_length_cannot_be_lengthened(small, tmp_path, schedule):
    run(small(f"schedule={schedule}"), tmp_path / "run")
    with pytest.raises(ValueError, match="planned for 10 updates, and would now have 15"):
        resume(small, tmp_path / "run", "trainer.max_epochs=3")


def test_no_run_and_no_checkpoint_are_told_apart(small, finished, tmp_path):
    with pytest.raises(ValueError, match=r"is not the folder of a run \(it has no config\.yaml\)"):
        resumed_config(small(f"resume={tmp_path}"), [])
    shutil.rmtree(finished / "checkpoints")
    with pytest.raises(ValueError, match="stopped before its first checkpoint"):
        resumed_config(small(f"resume={finished}"), [])


@pytest.mark.parametrize(
    "settings",
    [
        ("loader=resident",),
        pytest.param(("loader=host", "callbacks=ema"), marks=pytest.mark.weight_average),
    ],
)
def test_calls_of_several_updates_resume_inside_an_epoch(small, tmp_path, monkeypatch, settings):
    """Calls of two updates, validated every second; killed in the second epoch."""
    settings += ("accelerator.device_iterations=2", "trainer.max_epochs=3")
    settings += ("trainer.val_check_interval=2",)
    run(small(*settings), tmp_path / "whole")
    interrupt_after(monkeypatch, 9)
    with pytest.raises(Killed):
        run(small(*settings), tmp_path / "parts")
    resume(small, tmp_path / "parts")
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert_same_weights(weights(tmp_path / "parts"), weights(tmp_path / "whole"))
