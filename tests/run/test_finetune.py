"""Runs that begin with a checkpoint's weights."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest
import torch
from hydra import compose as hydra_compose
from hydra import initialize_config_dir

from gnnpack.commands.folders import conf_dir, register_resolvers
from gnnpack.commands.resume import resumed_config
from gnnpack.run import load_checkpoint, run
from gnnpack.run.evaluate import evaluate_checkpoint
from tests.run.conftest import SMALL
from tests.run.test_run import assert_same_weights, losses, weights

BEST = "checkpoints/best.ckpt"
READOUT = ("model.readout.mean", "model.readout.std")
HEAD = "model.output."


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    """The folder of a finished small run, and that of the data."""
    folder = tmp_path_factory.mktemp("finetune")
    register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = hydra_compose("config", [*SMALL, f"data_dir={folder / 'data'}"])
    run(cfg, folder / "finished")
    return folder / "finished", folder / "data"


@pytest.fixture
def finished(trained_once, tmp_path):
    """A copy of it, which a test may change."""
    return shutil.copytree(trained_once[0], tmp_path / "finished")


@pytest.fixture
def small(compose, trained_once):
    """The config of a run of one epoch."""
    common = (*SMALL, f"data_dir={trained_once[1]}", "trainer.max_epochs=1")
    return lambda *overrides: compose(*common, *overrides)


@pytest.fixture
def tuned(small, finished):
    """The config of a run that begins with the finished one's weights, on other molecules."""
    return lambda *overrides: small(f"checkpoint={finished}", "dataset.seed=1", *overrides)


@pytest.fixture
def before(finished) -> dict[str, torch.Tensor]:
    """The weights it begins with."""
    return weights(finished, "best.ckpt")


def test_it_begins_with_the_best_weights_and_the_scale_of_its_own_data(tuned, before, tmp_path):
    run(tuned("optimizer.lr=0", "schedule=constant"), tmp_path / "run")
    after = weights(tmp_path / "run")
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor) == (name not in READOUT), name


def test_a_new_head_begins_random_and_the_body_with_the_checkpoints(
    tuned, before, tmp_path, caplog
):
    settings = ("optimizer.lr=0", "schedule=constant")
    with caplog.at_level("INFO"):
        run(tuned(*settings, "finetune.head=new"), tmp_path / "run")
    after = weights(tmp_path / "run")
    # Biases begin at 0 in both, but for what the first run has learnt.
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor) == (
            not name.startswith(HEAD) and name not in READOUT
        )
    assert "begins new, not from the checkpoint: output.0.weight" in caplog.text
    assert "begins without these of the checkpoint: output.0.weight" in caplog.text


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("accelerator.device_iterations=2",),
        ("trainer.accumulate_grad_batches=2", "trainer.gradient_clip_val=0.1"),
        ("accelerator=ipu_emulator", "accelerator.replicas=2"),
        ("optimizer=sgd", "optimizer.momentum=0.9"),
        pytest.param(("callbacks=ema",), marks=pytest.mark.weight_average),
    ],
    ids=str,
)
def test_frozen_blocks_do_not_move_bit_for_bit(tuned, before, tmp_path, settings):
    if "optimizer=sgd" not in settings:
        settings += ("optimizer.weight_decay=0.5",)
    frozen = ("finetune.freeze=[embedding,0]", "finetune.body_lr=0.5")
    run(tuned(*settings, *frozen), tmp_path / "run")
    stays = ("model.embedding.", "model.interactions.0.")
    for kept in ("last.ckpt", "best.ckpt"):
        after = weights(tmp_path / "run", kept)
        for name, tensor in before.items():
            assert torch.equal(after[name], tensor) == name.startswith(stays), (kept, name)


def test_run_and_checkpoints_tell_where_the_weights_came_from(tuned, finished, tmp_path):
    run(tuned(), tmp_path / "run")
    best = finished / BEST
    theirs = load_checkpoint(best)["gnnpack"]
    told = json.loads((tmp_path / "run" / "run.json").read_text())["pretrained"]
    assert told == load_checkpoint(tmp_path / "run" / BEST)["gnnpack"]["pretrained"]
    assert told["path"] == str(best)
    assert told["sha256"] == hashlib.sha256(best.read_bytes()).hexdigest()
    assert told["data_fingerprint"] == theirs["data_fingerprint"]
    assert (told["dataset"], told["target"], told["unit"]) == ("Synthetic", "energy", "eV")
    assert told["updates"] > 0


def test_a_run_with_random_weights_tells_of_no_origin(finished):
    assert "pretrained" not in json.loads((finished / "run.json").read_text())
    assert "pretrained" not in load_checkpoint(finished / "checkpoints" / "last.ckpt")["gnnpack"]


def test_it_goes_on_without_the_checkpoint_it_began_with(small, tuned, finished, tmp_path):
    settings = ("schedule=constant", "finetune.freeze=[embedding]", "finetune.body_lr=0.1")
    run(tuned(*settings, "trainer.max_epochs=2"), tmp_path / "whole")
    run(tuned(*settings), tmp_path / "parts")
    shutil.rmtree(finished)
    typed = [f"resume={tmp_path / 'parts'}", "trainer.max_epochs=2"]
    cfg, checkpoint = resumed_config(small(*typed), typed)
    run(cfg, tmp_path / "parts", overrides=typed, checkpoint=checkpoint)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert_same_weights(weights(tmp_path / "parts"), weights(tmp_path / "whole"))
    origins = [
        load_checkpoint(tmp_path / part / "checkpoints" / "last.ckpt")["gnnpack"]["pretrained"]
        for part in ("parts", "whole")
    ]
    assert origins[0] == origins[1]
    assert (
        json.loads((tmp_path / "parts" / "run_resumed.json").read_text())["pretrained"]
        == origins[0]
    )


def test_its_own_checkpoint_is_evaluated_and_begun_with_alone(small, tuned, finished, tmp_path):
    summary = run(tuned("finetune.head=new", "finetune.freeze=0"), tmp_path / "run")
    shutil.rmtree(finished)
    assert evaluate_checkpoint(tmp_path / "run")["mae"] == pytest.approx(
        summary["test_mae"], rel=1e-6
    )
    run(small(f"checkpoint={tmp_path / 'run'}"), tmp_path / "third")


def test_references_are_fitted_to_the_present_data(tuned, finished, tmp_path):
    run(tuned("dataset.references=fitted"), tmp_path / "run")
    before, after = (
        load_checkpoint(folder / BEST)["gnnpack"]["references"]
        for folder in (finished, tmp_path / "run")
    )
    assert before != after


def test_from_scratch_it_is_the_run_without_a_checkpoint(small, tuned, tmp_path):
    run(tuned("finetune.from_scratch=true"), tmp_path / "scratch")
    run(small("dataset.seed=1"), tmp_path / "plain")
    assert losses(tmp_path / "scratch") == losses(tmp_path / "plain")
    assert "pretrained" not in json.loads((tmp_path / "scratch" / "run.json").read_text())


# --- what is told, and what is refused ---


def with_elements(finished, elements) -> None:
    path = finished / BEST
    checkpoint = load_checkpoint(path)
    checkpoint["gnnpack"]["elements"] = elements
    torch.save(checkpoint, path)


def test_elements_it_has_never_seen_are_told(tuned, finished, tmp_path, caplog):
    with_elements(finished, [1, 6, 7])
    run(tuned(), tmp_path / "run")
    assert "has never seen O, F; what it knows of them begins random" in caplog.text
    with pytest.raises(ValueError, match="never seen O, F, and finetune"):
        run(tuned("finetune.freeze=[embedding]"), tmp_path / "frozen")


def test_another_target_is_told(tuned, finished, tmp_path, caplog):
    path = finished / BEST
    checkpoint = load_checkpoint(path)
    checkpoint["gnnpack"].update(target="mu", unit="D")
    torch.save(checkpoint, path)
    run(tuned(), tmp_path / "run")
    assert "The checkpoint's target was mu; now it is energy." in caplog.text
    assert "The checkpoint's unit was D; now it is eV." in caplog.text


@pytest.mark.parametrize(
    "overrides, message",
    [
        (
            ["model.hidden_channels=10"],
            r"model\.hidden_channels is 10 here and 8 in the checkpoint",
        ),
        (["model.num_interactions=3"], r"num_interactions is 3 here and 2 .*missing are interac"),
        (
            ["model.num_interactions=1"],
            r"num_interactions is 1 here and 2 .*unexpected are interac",
        ),
        (["cutoff=4.5"], r"cutoff is 4\.5, but .* with 6: .*set cutoff=6"),
        (["model.cutoff=4.5"], r"cutoff is 4\.5, but"),
        (
            ["finetune.freeze=[first]"],
            r"'first', which SchNet does not have.*embedding, 0, 1, head",
        ),
        (["finetune.freeze=[embedding,0,1,head]"], "leaves nothing to train"),
        (["finetune.head=other"], r"finetune\.head is 'other'; choose one of keep, new"),
        (["finetune.body_lr=0"], r"finetune\.body_lr is 0"),
        (["finetune.body_lr=fast"], r"finetune\.body_lr is 'fast'"),
        (["finetune.from_scratch=1"], "use true or false"),
        (["finetune.head=new", "finetune.freeze=head"], r"freeze is \[head\]: the head .*random"),
        (["finetune.from_scratch=true", "finetune.freeze=0"], r"freeze is \[0\]: those .*random"),
    ],
)
def test_what_does_not_fit_is_refused(tuned, tmp_path, overrides, message):
    with pytest.raises(ValueError, match=message):
        run(tuned(*overrides), tmp_path / "run")
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.parametrize("path", ["nowhere", "nowhere/last.ckpt", "data"])
def test_no_checkpoint_is_told_before_data_are_read(small, tmp_path, monkeypatch, path):
    (tmp_path / "data").mkdir(exist_ok=True)
    monkeypatch.setattr("gnnpack.run.training.open_data", None)
    with pytest.raises(
        ValueError, match=r"there is no .*nowhere|best\.ckpt.* Give checkpoint=PATH"
    ):
        run(small(f"checkpoint={tmp_path / path}"), tmp_path / "run")


@pytest.mark.parametrize(
    "setting, told",
    [
        ("finetune.head=new", "finetune.head is new"),
        ("finetune.freeze=[embedding,1]", r"finetune.freeze is \[embedding,1\]"),
        ("finetune.body_lr=0.1", "finetune.body_lr is 0.1"),
    ],
)
def test_settings_that_nothing_would_read_are_refused(small, tmp_path, setting, told):
    with pytest.raises(ValueError, match=rf"{told}, but there are no weights to begin with"):
        run(small(setting), tmp_path / "run")
