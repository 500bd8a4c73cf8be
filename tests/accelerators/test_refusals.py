"""What whole steps cannot do right is refused in words that name the cure."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from tiny_training import train

from gnnpack.accelerators import WholeStepStrategy
from gnnpack.accelerators.refusals import refuse_schedulers, refuse_trainer


def test_accumulation_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"accumulate_grad_batches is 2.*Set it to 1"):
        train(tmp_path, WholeStepStrategy("cpu", 4), accumulate_grad_batches=2)


def test_a_scaler_is_refused():
    trainer = SimpleNamespace(accumulate_grad_batches=1, world_size=1)
    strategy = SimpleNamespace(precision_plugin=SimpleNamespace(scaler=object()))
    with pytest.raises(ValueError, match=r"16-mixed.*bf16-mixed"):
        refuse_trainer(trainer, strategy)
    with pytest.raises(ValueError, match=r"one device, not 2.*strategy=ddp"):
        refuse_trainer(SimpleNamespace(accumulate_grad_batches=1, world_size=2), strategy)


def momentum_cycle(optimizer, *, total_updates):
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-2, total_steps=total_updates)
    return {"scheduler": schedule, "interval": "step", "frequency": 1}


@pytest.mark.parametrize("iterations", [1, 4])
def test_a_schedule_of_more_than_the_rate_is_refused(tmp_path, iterations):
    with pytest.raises(ValueError, match=r"changes betas as well.*cycle_momentum=False"):
        train(tmp_path, WholeStepStrategy("cpu", iterations), schedule=momentum_cycle)


def test_schedules_that_count_calls_and_several_optimizers_are_refused():
    def config(**changed):
        scheduler = torch.optim.lr_scheduler.ConstantLR(
            torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        )
        kept = {"interval": "step", "frequency": 1, "reduce_on_plateau": False}
        return SimpleNamespace(scheduler=scheduler, **{**kept, **changed})

    refuse_schedulers([object()], [config(), config(interval="epoch", reduce_on_plateau=True)])
    for changed in ({"frequency": 2}, {"reduce_on_plateau": True}):
        with pytest.raises(ValueError, match=r"ConstantLR is to step every \d host steps"):
            refuse_schedulers([object()], [config(**changed)])
    with pytest.raises(ValueError, match="one optimizer, not 2"):
        refuse_schedulers([object(), object()], [])


@pytest.mark.parametrize("iterations, every, fine", [(3, 6, True), (3, 4, False), (4, 8, False)])
def test_checkpoints_inside_a_call_are_refused(tmp_path, iterations, every, fine):
    """Nine updates an epoch: calls of three end at their multiples, calls of four do not."""
    keeper = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=every, save_top_k=-1)
    run = partial(
        train, tmp_path, WholeStepStrategy("cpu", iterations), callbacks=(keeper,), max_epochs=2
    )
    if not fine:
        with pytest.raises(ValueError, match=rf"every_n_train_steps={every} updates would be miss"):
            run()
        return
    run()
    assert {path.name for path in tmp_path.glob("step=*")} == {
        f"step={step}.ckpt" for step in (6, 12, 18)
    }


class WatchesGradients(pl.Callback):
    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        raise AssertionError("whole steps do not call it")


def test_callbacks_that_wait_in_vain_are_named(tmp_path, caplog):
    train(tmp_path, WholeStepStrategy("cpu", 4), callbacks=(WatchesGradients(),), max_epochs=1)
    told = [text for text in caplog.messages if "WatchesGradients" in text]
    assert len(told) == 1
    assert "on_before_optimizer_step" in told[0]


def test_no_updates_a_call_are_refused():
    with pytest.raises(ValueError, match="device_iterations is 0"):
        WholeStepStrategy("cpu", 0)
