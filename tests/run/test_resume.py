"""A resumed run is the run that was never interrupted."""

from __future__ import annotations

import json
import shutil

import pytest
from omegaconf import OmegaConf

from gnnpack.commands.resume import resumed_config
from gnnpack.run import run
from tests.run.test_run import assert_same_weights, losses, rows_of, weights


def resume(small, folder, *overrides):
    typed = [f"resume={folder}", *overrides]
    cfg, checkpoint = resumed_config(small(*typed), typed)
    return run(cfg, folder, overrides=typed, checkpoint=checkpoint)


@pytest.mark.parametrize("callbacks", ["default", "ema"])
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


def test_metrics_are_continued_and_not_repeated(small, tmp_path):
    run(small("schedule=constant"), tmp_path / "run")
    resume(small, tmp_path / "run", "trainer.max_epochs=4")
    rows = rows_of(tmp_path / "run")
    steps = [int(row["step"]) for row in rows if row["train/loss"]]
    assert steps == list(range(len(steps)))
    assert sum(1 for row in rows if row["val/mae"]) == 4


def test_the_record_of_the_first_start_is_kept(small, finished):
    before = (finished / "run.json").read_text()
    resume(small, finished)
    assert (finished / "run.json").read_text() == before
    assert json.loads((finished / "run_resumed.json").read_text())["argv"][0].startswith("resume=")


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
    ],
)
def test_what_must_not_change_is_refused_by_name(small, finished, override, named):
    typed = [f"resume={finished}", override]
    with pytest.raises(ValueError, match=rf"{named}.*may change only trainer, logger, accelerator"):
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
