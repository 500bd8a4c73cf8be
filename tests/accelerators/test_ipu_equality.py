"""Training on (emulated) IPUs is training on a CPU: losses step for step, then all that follows."""

from __future__ import annotations

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from ipu_training import ADAMW, QUIET, cpu, emulated, make_data, make_module, train
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch.optim.lr_scheduler import StepLR
from torch.testing import assert_close

from gnnpack.accelerators.ipu_loader import IPULoader
from gnnpack.accelerators.poptorch_door import load_poptorch
from gnnpack.batching import PackLoader
from gnnpack.models import SchNet
from gnnpack.objective import MAE, MSE
from gnnpack.tracking import ThroughputMeter
from gnnpack.training import constant, one_cycle

SGD = partial(torch.optim.SGD, lr=1e-3, momentum=0.9)


def assert_same_losses(found, expected, rtol: float = 1e-5):
    assert_close(found.losses, expected.losses, rtol=rtol, atol=0)


@pytest.mark.parametrize("neighbours", ["dense", "knn", "cutoff"])
@pytest.mark.parametrize("replicas, accumulation, iterations", [(1, 1, 1), (2, 2, 4), (4, 1, 2)])
def test_losses_are_those_of_a_cpu(tmp_path, replicas, accumulation, iterations, neighbours):
    options = {"neighbours": neighbours}
    strategy = emulated(
        replicas=replicas, gradient_accumulation=accumulation, device_iterations=iterations
    )
    found = train(tmp_path / "ipu", strategy, **options)
    expected = train(tmp_path / "cpu", cpu(), **options)
    assert found.data._train.packs_per_update == expected.data._train.packs_per_update == 8
    assert len(found.losses) == 2 * 4 == found.trainer.global_step
    assert_same_losses(found, expected)
    # The model learns, or equal losses would say little.
    assert expected.losses[-1] < 0.9 * expected.losses[0]
    both = [run.trainer.callback_metrics["val/mae"] for run in (found, expected)]
    assert_close(both[0], both[1], rtol=1e-4, atol=0)


PLAIN_DESCENT = partial(torch.optim.SGD, lr=2e-4, momentum=0.9)


@pytest.mark.parametrize("weighting", ["molecule", "micro_batch_mean"])
def test_gradients_have_the_size_of_a_cpu_s(tmp_path, weighting):
    # Plain descent, unclipped: Adam would not notice gradients four times too large.
    options = {"optimizer": PLAIN_DESCENT, "objective": MAE(weighting)}
    settings = {"replicas": 2, "gradient_accumulation": 2, "device_iterations": 2}
    found = train(tmp_path / "ipu", emulated(**settings), **options)
    # Lightning's own accumulation: one micro-batch a host step.
    expected = train(tmp_path / "cpu", "auto", accumulate_grad_batches=4, **options)
    for name, value in expected.module.state_dict().items():
        assert_close(found.module.state_dict()[name], value, rtol=1e-4, atol=1e-6)
    if weighting == "molecule":
        assert_same_losses(found, train(tmp_path / "whole", cpu(), **options))


def test_training_and_prediction_take_turns_on_the_same_ipus(tmp_path):
    poptorch = load_poptorch(True)
    poptorch.set_num_ipus(4)
    try:
        run = train(tmp_path, emulated(replicas=4))
    finally:
        poptorch.set_num_ipus(None)
    assert run.trainer.global_step == 8


def test_one_loader_serves_all_epochs(tmp_path, monkeypatch):
    made, make = [], IPULoader._make_loader
    monkeypatch.setattr(
        IPULoader, "_make_loader", lambda self, calls: (made.append(calls), make(self, calls))[1]
    )
    train(tmp_path, emulated(), max_epochs=3)
    assert len(made) == 1


def test_micro_batches_of_filler_alone_count_nothing(tmp_path):
    # 27 packs on 8 replicas: the last update has 3 of 8 packs, five micro-batches are empty.
    assert_same_losses(
        train(tmp_path / "ipu", emulated(replicas=8)), train(tmp_path / "cpu", cpu())
    )


def test_empty_updates_leave_plain_descent_alone_and_are_not_counted(tmp_path):
    options = {"optimizer": partial(torch.optim.SGD, lr=1e-3)}
    found = train(tmp_path / "ipu", emulated(device_iterations=3), **options)
    assert found.trainer.global_step == len(found.losses) == 8
    assert_same_losses(found, train(tmp_path / "cpu", cpu(), **options))


@pytest.mark.parametrize("optimizer", [ADAMW, SGD], ids=["adamw", "sgd"])
@pytest.mark.parametrize("objective", [MAE(), MSE("micro_batch_mean")], ids=["mae", "paper"])
def test_clipping_and_weighting_are_those_of_lightning(tmp_path, optimizer, objective):
    options = {"optimizer": optimizer, "objective": objective, "gradient_clip_val": 0.3}
    found = train(tmp_path / "ipu", emulated(gradient_accumulation=2, replicas=2), **options)
    # Plain Lightning: one micro-batch a host step, four an update.
    expected = train(tmp_path / "cpu", "auto", accumulate_grad_batches=4, **options)
    for name, value in expected.module.state_dict().items():
        assert_close(found.module.state_dict()[name], value, rtol=1e-3, atol=1e-5)
    options["gradient_clip_val"] = None
    free = train(tmp_path / "free", emulated(gradient_accumulation=2, replicas=2), **options)
    weights = [run.module.model.output[0].weight for run in (free, found)]
    assert not torch.allclose(*weights, rtol=1e-3)


def test_rates_are_held_through_a_call_and_end_where_they_should(tmp_path):
    run = train(tmp_path, emulated(device_iterations=2), schedule=one_cycle, max_epochs=3)
    module = make_module()
    optimizer = module._make_optimizer(module.parameters())
    planned = one_cycle(optimizer, total_updates=12)["scheduler"]
    expected = []
    for _ in range(12):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        planned.step()
    assert run.rates[::2] == run.rates[1::2] == pytest.approx(expected[::2])
    (config,) = run.trainer.lr_scheduler_configs
    assert config.scheduler.get_last_lr() == pytest.approx(planned.get_last_lr())


def test_a_schedule_by_epochs_equals_a_cpu_s(tmp_path):
    def halved(optimizer, *, total_updates):
        return {"scheduler": StepLR(optimizer, 1, 0.5), "interval": "epoch", "frequency": 1}

    options = {"schedule": halved, "max_epochs": 3}
    found = train(tmp_path / "ipu", emulated(device_iterations=4), **options)
    expected = train(tmp_path / "cpu", cpu(), **options)
    assert found.rates == expected.rates
    assert len(set(found.rates)) == 3
    assert_same_losses(found, expected)


@pytest.mark.parametrize("schedule", [constant, one_cycle])
def test_resumed_equals_uninterrupted(tmp_path, schedule):
    settings = {"gradient_accumulation": 2, "device_iterations": 2}
    whole = train(tmp_path / "whole", emulated(**settings), schedule=schedule, max_epochs=2)

    def part(**options):
        folder = tmp_path / "parts"
        return train(folder, emulated(**settings), schedule=schedule, **options)

    # Planned for two epochs, and stopped behind the first.
    part(max_epochs=2, callbacks=(StopAfter(1),))
    resumed = part(max_epochs=2, resume="last")
    for name, value in whole.module.state_dict().items():
        assert torch.equal(resumed.module.state_dict()[name], value), name
    assert resumed.trainer.global_step == whole.trainer.global_step == 8


class StopAfter(pl.Callback):
    """Ends training behind so many epochs."""

    def __init__(self, num_epochs: int) -> None:
        self.num_epochs = num_epochs

    def on_validation_end(self, trainer, pl_module):
        trainer.should_stop = trainer.current_epoch + 1 >= self.num_epochs


@pytest.mark.parametrize("iterations", [1, 2])
def test_resumed_inside_an_epoch_equals_uninterrupted(tmp_path, iterations):
    settings, folder = {"device_iterations": iterations}, tmp_path / "parts"

    def run(place, **options):
        keep = ModelCheckpoint(place, filename="inside", every_n_train_steps=6)
        return train(place, emulated(**settings), data=make_data(6), callbacks=(keep,), **options)

    whole = run(tmp_path / "whole")
    assert whole.updates_per_epoch == 14
    run(folder, max_steps=6)
    resumed = run(folder, resume="inside")
    assert resumed.trainer.global_step == whole.trainer.global_step == 28
    for name, value in whole.module.state_dict().items():
        assert torch.equal(resumed.module.state_dict()[name], value), name


def test_a_checkpoint_may_be_written_after_the_training(tmp_path):
    run = train(tmp_path, emulated())
    run.trainer.save_checkpoint(tmp_path / "after.ckpt")
    kept = [torch.load(tmp_path / name, weights_only=True) for name in ("after.ckpt", "last.ckpt")]
    assert kept[0]["optimizer_states"][0].keys() == kept[1]["optimizer_states"][0].keys()
    for name, value in kept[1]["state_dict"].items():
        assert torch.equal(kept[0]["state_dict"][name], value)


def test_optimizer_states_do_not_cross_over(tmp_path):
    train(tmp_path / "ipu", emulated(), max_epochs=1)
    with pytest.raises(ValueError, match="made on an IPU"):
        train(tmp_path / "ipu", cpu(), resume="last")
    train(tmp_path / "cpu", cpu(), max_epochs=1)
    with pytest.raises(ValueError, match="made on a CPU or GPU"):
        train(tmp_path / "cpu", emulated(), resume="last")


def test_checkpoints_hold_the_weights_that_were_trained_and_run_anywhere(tmp_path):
    run = train(tmp_path, emulated(device_iterations=2))
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert type(run.module.model) is SchNet
    for name, value in run.module.state_dict().items():
        assert type(kept["state_dict"][name]) is type(value) is torch.Tensor
        assert torch.equal(kept["state_dict"][name], value)
    other = make_module()
    other.load_state_dict(kept["state_dict"])
    found = [
        evaluator(tmp_path, strategy).validate(other, make_data(), verbose=False)[0]["val/mae"]
        for strategy in (emulated(replicas=2, device_iterations=3), cpu())
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    assert found[0] == pytest.approx(float(run.trainer.callback_metrics["val/mae"]), rel=1e-5)


def evaluator(folder, strategy) -> pl.Trainer:
    quiet = {**QUIET, "logger": False, "enable_checkpointing": False}
    return pl.Trainer(strategy=strategy, devices=1, default_root_dir=folder, **quiet)


def test_predictions_come_in_the_order_of_the_packs(tmp_path):
    data, found = make_data(), []
    for strategy in (emulated(replicas=2, device_iterations=2), cpu()):
        loader = PackLoader(data.sources["val"], data.plans["val"], packs_per_update=2)
        predicted = evaluator(tmp_path, strategy).predict(make_module(), loader)
        found.append(torch.cat(predicted))
    assert len(found[1]) == 24
    assert_close(found[0], found[1], rtol=1e-5, atol=1e-6)


def test_early_stopping_stops(tmp_path):
    stop = EarlyStopping("val/mae", patience=1, min_delta=1e9)
    run = train(tmp_path, emulated(), callbacks=(stop,), max_epochs=9)
    assert stop.stopped_epoch == 1
    assert run.trainer.global_step == 8


def test_molecules_are_counted_over_all_device_iterations(tmp_path):
    clock, counted = iter(range(10_000)), []
    meter = ThroughputMeter(0, clock=lambda: float(next(clock)))
    book = meter._book
    meter._book = lambda tally: (counted.append(tally), book(tally))
    train(tmp_path, emulated(device_iterations=3, replicas=2), meter=meter)
    total = [sum(getattr(tally, name) for tally in counted) for name in COUNTS]
    assert total == [2 * 80, 2 * 4, 2 * 2]


COUNTS = ("molecules", "updates", "host_steps")
