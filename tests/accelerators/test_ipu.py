"""IPU settings: what each does, what is refused, and with which words."""

from __future__ import annotations

import logging
import sys
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from ipu_training import ADAMW, QUIET, cpu, emulated, make_data, make_module, train
from pytorch_lightning.callbacks import ModelCheckpoint
from tests.conftest import named
from torch.testing import assert_close

from gnnpack.accelerators import (
    CompiledOffline,
    IPUSettings,
    train_on_ipu,
    train_on_ipu_emulator,
)
from gnnpack.accelerators.ipu_optimizer import ipu_optimizer
from gnnpack.accelerators.ipu_programs import IPUPrograms
from gnnpack.accelerators.ipu_settings import evaluation_options, training_options
from gnnpack.accelerators.poptorch_door import load_poptorch
from gnnpack.training import ema, one_cycle

POPTORCH = load_poptorch(True)


# --- settings and options ---


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"replicas": 3}, r"replicas is 3; IPUs are taken in powers of two"),
        ({"replicas": 128}, "replicas is 128"),
        ({"replicas": 0}, r"accelerator\.replicas is 0; it must be a whole number, 1 or more"),
        ({"gradient_accumulation": 2.0}, r"gradient_accumulation is 2\.0"),
        ({"device_iterations": True}, "device_iterations is True"),
        ({"micro_batch": 0}, r"micro_batch is 0.*or null"),
        ({"prefetch_depth": -1}, "prefetch_depth is -1"),
        ({"output_mode": "last"}, "output_mode is 'last'; choose one of all, final, sum"),
        ({"connection": "later"}, "connection is 'later'; choose one of always"),
        ({"precision": "16-true"}, "precision is '16-true'; choose one of float32, float16"),
        ({"available_memory_proportion": 1.5}, r"available_memory_proportion is 1\.5"),
        ({"num_io_tiles": 31}, "num_io_tiles is 31.*even number from 32 to 192"),
        ({"num_io_tiles": 194}, "num_io_tiles is 194"),
        ({"num_io_tiles": 32, "output_mode": "final"}, "needs output_mode=all or sum"),
        ({"max_grad_norm": 0.0}, r"max_grad_norm is 0\.0"),
        ({"loss_scaling": 8.0}, "it is for precision=float16"),
        ({"loss_scaling": 0, "precision": "float16"}, "loss_scaling is 0"),
        ({"connection": "never"}, "set executable_cache"),
    ],
    ids=named,
)
def test_wrong_settings_are_refused_by_name(settings, words):
    with pytest.raises(ValueError, match=words):
        IPUSettings(**settings)


def test_options_are_those_of_the_paper_s_code(tmp_path):
    settings = IPUSettings(
        replicas=16,
        gradient_accumulation=2,
        device_iterations=4,
        available_memory_proportion=0.3,
        prefetch_depth=4,
        executable_cache=str(tmp_path),
        connection="on_demand",
    )
    training = training_options(POPTORCH, settings)
    evaluation = evaluation_options(POPTORCH, settings)
    for options in (training, evaluation):
        assert (options.replication_factor, options.device_iterations) == (16, 4)
        assert options.available_memory_proportion == {0: 0.3}
        assert options.output_mode == POPTORCH.OutputMode.All
        assert options.connection_type == POPTORCH.ConnectionType.OnDemand
    assert training.Training.gradient_accumulation == 2
    # An inference program has none, or PopTorch refuses it.
    assert evaluation.Training.gradient_accumulation == 1
    backend = training._Popart.options
    assert backend["defaultBufferingDepth"] == 4
    assert backend["accumulateOuterFragmentSettings.schedule"] == 2
    assert backend["replicatedCollectivesSettings.mergeAllReduceCollectives"] is True
    plain = training_options(POPTORCH, IPUSettings(merge_collectives=False, prefetch_depth=0))
    assert not {key for key in plain._Popart.options if "Collectives" in key or "Buffering" in key}


@pytest.mark.parametrize(
    "make, expected",
    [
        (partial(torch.optim.Adam, lr=1e-3, betas=[0.8, 0.9], eps=1e-6), "Adam"),
        (partial(torch.optim.AdamW, lr=1e-3, weight_decay=0.2), "AdamW"),
        (partial(torch.optim.SGD, lr=1e-3, momentum=0.9, dampening=0.1), "SGD"),
        (partial(torch.optim.RMSprop, lr=1e-3, alpha=0.9, centered=True), "RMSprop"),
    ],
)
def test_optimizers_are_rebuilt_under_the_same_name(make, expected):
    groups = [
        {"params": [torch.nn.Parameter(torch.ones(2))]},
        {"params": [torch.nn.Parameter(torch.ones(3))], "lr": 0.5},
    ]
    ours = make(groups)
    norm = None if expected == "RMSprop" else 2.0
    made = ipu_optimizer(POPTORCH, ours, max_grad_norm=norm, loss_scaling=4.0)
    assert type(made) is getattr(POPTORCH.optim, expected)
    assert made.loss_scaling == 4.0
    assert norm is None or made.max_grad_norm == norm
    for one, other in zip(made.param_groups, ours.param_groups):
        assert one["params"][0] is other["params"][0]
        for key in ("lr", "weight_decay", "momentum", "eps", "alpha", "centered"):
            assert one.get(key) == other.get(key), key
        assert one.get("betas") == (tuple(other["betas"]) if "betas" in other else None)
    # The rate alone may change; the rest is compiled in.
    assert not made.variable_attrs.isConstant("lr")
    assert made.variable_attrs.isConstant("weight_decay")


@pytest.mark.parametrize(
    "make, words",
    [
        (partial(torch.optim.Adagrad, lr=1.0), "Adagrad has no counterpart.*SGD, Adam"),
        (partial(torch.optim.Adam, lr=1.0, amsgrad=True), r"optimizer\.amsgrad is True"),
        (partial(torch.optim.SGD, lr=1.0, momentum=1, nesterov=True), r"optimizer\.nesterov"),
        (partial(torch.optim.SGD, lr=1.0, maximize=True), r"optimizer\.maximize"),
    ],
)
def test_optimizers_an_ipu_lacks_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        ipu_optimizer(POPTORCH, make([torch.nn.Parameter(torch.ones(2))]))


def test_an_optimizer_that_does_not_clip_is_not_asked_to():
    ours = torch.optim.RMSprop([torch.nn.Parameter(torch.ones(2))], lr=1.0)
    with pytest.raises(ValueError, match="RMSprop does not clip"):
        ipu_optimizer(POPTORCH, ours, max_grad_norm=1.0)


# --- the door ---


def test_without_poptorch_the_way_there_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "poptorch", None)
    with pytest.raises(ValueError, match=r"(?s)Poplar SDK.*make setup-ipu.*ipu_emulator"):
        train_on_ipu()


def test_whatever_is_called_poptorch_is_taken(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "poptorch", POPTORCH)
    strategy = train_on_ipu(device_iterations=2)["strategy"]
    assert strategy.run_summary == {"emulated": False}
    assert train_on_ipu_emulator()["strategy"].run_summary == {"emulated": True}
    real = train(tmp_path / "a", strategy, max_epochs=1)
    assert torch.equal(
        real.losses, train(tmp_path / "b", emulated(device_iterations=2), max_epochs=1).losses
    )


# --- what a run does with the settings ---


@pytest.mark.parametrize("mode", ["sum", "final"])
def test_other_output_modes_train_the_same_and_tell_less(tmp_path, mode):
    settings = {"replicas": 2, "gradient_accumulation": 2, "device_iterations": 2}
    whole = train(tmp_path / "all", emulated(**settings))
    run = train(tmp_path / mode, emulated(output_mode=mode, **settings))
    for name, value in whole.module.state_dict().items():
        assert torch.equal(run.module.state_dict()[name], value)
    each = run.losses.view(-1, 2)
    assert torch.equal(each[:, 0], each[:, 1])
    if mode == "sum":
        assert_close(each[:, 0], whole.losses.view(-1, 2).mean(1))
    else:
        # Of the last micro-batches alone, and never of filler: of the size of the others.
        assert not torch.allclose(each[:, 1], whole.losses.view(-1, 2)[:, 1])
        assert (each > 0.3 * whole.losses.min()).all()


def test_the_sum_of_a_call_is_over_its_real_updates(tmp_path):
    whole = train(tmp_path / "all", emulated(device_iterations=3))
    run = train(tmp_path / "sum", emulated(device_iterations=3, output_mode="sum"))
    # Calls of three and of one update.
    expected = [losses.mean() for losses in whole.losses[:4].split(3)]
    assert_close(run.losses[[0, 3]], torch.stack(expected))


def test_overlapped_input_changes_nothing(tmp_path):
    plain = train(tmp_path / "plain", emulated(device_iterations=2))
    overlapped = train(tmp_path / "tiles", emulated(device_iterations=2, num_io_tiles=32))
    assert torch.equal(plain.losses, overlapped.losses)


def test_synthetic_data_shows_no_losses(tmp_path):
    run = train(tmp_path, emulated(synthetic_data=True, device_iterations=2), max_epochs=1)
    assert len(run.losses) == 0
    assert "train/loss" not in (tmp_path / "metrics.csv").read_text().splitlines()[0]
    assert run.trainer.global_step == 4


def test_half_precision_learns_and_keeps_the_scale_of_the_targets(tmp_path):
    if not _half_works_here():
        pytest.skip("this torch multiplies no float16 matrices on a CPU")
    half = train(tmp_path / "half", emulated(precision="float16", loss_scaling=64.0))
    full = train(tmp_path / "full", emulated())
    assert_close(half.losses, full.losses, rtol=0.05, atol=0)
    assert half.module.model.embedding.weight.dtype == torch.float16
    assert half.module.model.readout.mean.dtype == torch.float32
    assert torch.equal(half.module.model.readout.mean, full.module.model.readout.mean)


def _half_works_here() -> bool:
    try:
        torch.ones(2, 2).half() @ torch.ones(2, 2).half()
    except RuntimeError:
        return False
    return True


def test_without_an_ipu_programs_are_compiled_and_no_more(tmp_path):
    strategy = emulated(connection="never", executable_cache=str(tmp_path / "cache"), replicas=2)
    with pytest.raises(CompiledOffline):
        train(tmp_path / "run", strategy)


def test_a_call_is_told_and_so_are_its_empty_updates(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="gnnpack"):
        train(tmp_path, emulated(device_iterations=3, replicas=2), neighbours="cutoff")
    text = caplog.text
    assert "4 packs x 2 replicas x 1 accumulated x 3 device iterations = 24 packs a call" in text
    assert "An epoch has 4 updates, and its last call is completed with empty ones (2)" in text
    assert "model.neighbours=dense and exact filters" in text
    assert "estimate" in text


def test_offline_the_programs_are_of_the_shapes_a_run_asks_for(tmp_path, monkeypatch):
    shapes: dict[str, list] = {"compiled": [], "run": []}
    whole = IPUPrograms._called

    def called(self, program, packs):
        kind = "run" if callable(getattr(program, "compile", None)) else "compiled"
        shapes[kind].append(tuple(packs.z.shape))
        return whole(self, program, packs)

    monkeypatch.setattr(IPUPrograms, "_called", called)
    settings = {"gradient_accumulation": 2, "replicas": 2}
    offline = {"connection": "never", "executable_cache": str(tmp_path / "cache")}
    with pytest.raises(CompiledOffline):
        train(tmp_path / "offline", emulated(**settings, **offline))
    train(tmp_path / "run", emulated(**settings), max_epochs=1)
    assert set(shapes["compiled"]) == set(shapes["run"])


@pytest.mark.parametrize("setting", [{"num_sanity_val_steps": 2}, {}])
def test_offline_nothing_is_run(tmp_path, setting):
    strategy = emulated(connection="never", executable_cache=str(tmp_path))
    trainer = pl.Trainer(
        strategy=strategy, devices=1, logger=False, max_epochs=1, **{**QUIET, **setting}
    )
    run = trainer.fit if setting else trainer.validate
    with pytest.raises(ValueError, match=r"connection=never|connection is 'never'"):
        run(make_module(), make_data())


# --- refusals ---


@pytest.mark.parametrize(
    "settings, options, words",
    [
        ({}, {"accumulate_grad_batches": 3}, r"accelerator\.gradient_accumulation=3"),
        ({"max_grad_norm": 1.0}, {"gradient_clip_val": 2.0}, "the same thing"),
        ({"device_iterations": 2}, {"max_steps": 3}, r"max_steps is 3.*Use 2 or 4"),
        ({"device_iterations": 3}, {"max_steps": 5}, r"max_steps is 5.*Use 4 or 7"),
        (
            {"device_iterations": 2},
            {"callbacks": (ModelCheckpoint(every_n_train_steps=3),)},
            "every_n_train_steps=3",
        ),
        ({}, {"optimizer": partial(torch.optim.Adagrad, lr=1.0)}, "no counterpart"),
        ({"micro_batch": 2}, {}, r"batch_size is 24 and accelerator\.micro_batch is 2"),
    ],
    ids=named,
)
def test_what_an_ipu_cannot_do_is_refused(tmp_path, settings, options, words):
    with pytest.raises(ValueError, match=words):
        train(tmp_path, emulated(**settings), **options)


@pytest.mark.weight_average
def test_an_average_of_weights_that_are_on_the_ipu_is_refused(tmp_path):
    with pytest.raises(ValueError, match="callbacks=ema"):
        train(tmp_path, emulated(), callbacks=(ema(0.9),))


def test_steps_that_end_with_a_call_are_made(tmp_path):
    run = train(tmp_path, emulated(device_iterations=3), max_steps=7, max_epochs=5)
    assert run.trainer.global_step == 7


def test_a_micro_batch_in_packs_replaces_the_batch_size(tmp_path):
    asked = make_data()
    asked.batch_size = None
    run = train(tmp_path / "packs", emulated(micro_batch=2, replicas=4), data=asked)
    assert run.data._train.packs_per_update == 8
    assert torch.equal(run.losses, train(tmp_path / "size", emulated(replicas=4)).losses)


def test_a_model_that_reads_values_is_refused_in_poptorch_s_words(tmp_path):
    class Reads(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(()))

        def forward(self, batch):
            return self.weight * batch.target[batch.molecule_mask].sum() * batch.target

    model = Reads()
    with pytest.raises(ValueError, match=r"(?s)An IPU cannot run this model.*nonzero"):
        train(tmp_path, emulated(), model=model)
    # And nothing of the attempt is left on it.
    assert (type(model), type(model.weight)) == (Reads, torch.nn.Parameter)


def test_the_module_is_a_plain_one_again(tmp_path):
    run = train(tmp_path, emulated())
    kinds = {type(value) for value in run.module.parameters()}
    assert kinds == {torch.nn.Parameter}
    # And can be trained elsewhere.
    run.module.model.embedding.weight.data.add_(1)
    assert make_module().load_state_dict(run.module.state_dict())
    assert cpu().device_iterations == 1


def test_schedules_do_not_warn_of_an_optimizer_that_never_steps(tmp_path, recwarn):
    train(tmp_path, emulated(), schedule=one_cycle, optimizer=ADAMW)
    assert not [w for w in recwarn if "lr_scheduler.step" in str(w.message)]
