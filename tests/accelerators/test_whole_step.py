"""Several updates a call are the updates of plain Lightning, bit for bit."""

from __future__ import annotations

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from tiny_training import UPDATES_PER_EPOCH, assert_same_run, make_data, train

from gnnpack.accelerators import WholeStepStrategy
from gnnpack.training import constant, cosine, ema, plateau

SCHEDULES = {
    "constant": constant,
    "cosine": cosine,
    "plateau": partial(plateau, patience=0, factor=0.5),
}


@pytest.mark.parametrize("iterations", [1, 3, 4, 8, 100])
def test_one_cycle_with_clipping_equals_plain_lightning(tmp_path, iterations):
    plain = train(tmp_path / "plain")
    whole = train(tmp_path / "whole", WholeStepStrategy("cpu", iterations))
    assert_same_run(whole, plain)
    assert whole.trainer.global_step == 3 * UPDATES_PER_EPOCH
    # The norm is clipped, or the test would not notice a clipping left out.
    free = train(tmp_path / "free", gradient_clip_val=None)
    assert not torch.equal(free.weights["model.first"], plain.weights["model.first"])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_gives_the_rates_of_plain_lightning(tmp_path, schedule):
    options = {"schedule": SCHEDULES[schedule]}
    plain = train(tmp_path / "plain", **options)
    assert_same_run(train(tmp_path / "whole", WholeStepStrategy("cpu", 4), **options), plain)


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "64-true"},
        {"precision": "bf16-mixed"},
        {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"},
        {"optimizer": partial(torch.optim.SGD, lr=1e-2, momentum=0.9)},
        {"max_steps": 14},
        {"limit_train_batches": 2, "max_epochs": 2},
    ],
    ids=str,
)
def test_trainer_settings_mean_the_same(tmp_path, options):
    plain_options = dict(options)
    if "limit_train_batches" in options:
        # It counts calls: two of four updates.
        plain_options["limit_train_batches"] = 8
    plain = train(tmp_path / "plain", **plain_options)
    whole = train(tmp_path / "whole", WholeStepStrategy("cpu", 4), **options)
    assert_same_run(whole, plain)


def test_callbacks_see_the_same_run(tmp_path):
    runs = []
    for name, strategy in (("plain", "auto"), ("whole", WholeStepStrategy("cpu", 3))):
        stop = EarlyStopping("val/mae", patience=1, min_delta=10.0)
        every = ModelCheckpoint(
            tmp_path / name, filename="{step}", every_n_train_steps=3, save_top_k=-1
        )
        monitor = LearningRateMonitor("epoch")
        runs.append(
            train(tmp_path / name, strategy, callbacks=(stop, every, monitor), max_epochs=5)
        )
        assert stop.stopped_epoch == 1
    assert_same_run(runs[1], runs[0])
    kept = [{path.name for path in run.folder.glob("step=*.ckpt")} for run in runs]
    assert kept[0] == kept[1] == {f"step={step}.ckpt" for step in range(3, 19, 3)}


@pytest.mark.weight_average
@pytest.mark.parametrize("iterations", [1, 3, 4])
def test_the_average_is_of_every_update(tmp_path, iterations):
    plain = train(tmp_path / "plain", callbacks=(ema(0.7),))
    whole = train(tmp_path / "whole", WholeStepStrategy("cpu", iterations), callbacks=(ema(0.7),))
    assert_same_run(whole, plain)
    for key in ("current_model_state", "averaging_state"):
        for name, value in plain.checkpoint[key].items():
            assert torch.equal(whole.checkpoint[key][name], value), name
    assert plain.checkpoint["averaging_state"]["n_averaged"] == 3 * UPDATES_PER_EPOCH
    # The callback Lightning ships gives the same average, to rounding.
    shipped = train(tmp_path / "shipped", callbacks=(pl.callbacks.EMAWeightAveraging(decay=0.7),))
    for name, value in shipped.checkpoint["state_dict"].items():
        torch.testing.assert_close(plain.checkpoint["state_dict"][name], value)


@pytest.mark.parametrize(
    "callbacks",
    [(), pytest.param((0.7,), marks=pytest.mark.weight_average)],
    ids=["weights", "average"],
)
@pytest.mark.parametrize("before, after", [(4, 4), (4, None), (None, 4), (3, 8)])
def test_resumed_at_an_epoch_border_equals_uninterrupted(tmp_path, before, after, callbacks):
    def strategy(iterations):
        return "auto" if iterations is None else WholeStepStrategy("cpu", iterations)

    def part(name, iterations, **options):
        averages = tuple(ema(decay) for decay in callbacks)
        return train(
            tmp_path / name,
            strategy(iterations),
            callbacks=averages,
            schedule=constant,
            **options,
        )

    whole = part("whole", None)
    part("parts", before, max_epochs=1)
    assert_same_run(part("parts", after, resume=True), whole)


class Killed(Exception):
    """Stands for a power cut."""


class Kill(pl.Callback):
    """Ends the process after so many updates."""

    def __init__(self, updates: int) -> None:
        self.updates = updates

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.updates:
            raise Killed


@pytest.mark.skipif(
    pl.__version__.startswith("2.3."),
    reason="Lightning 2.3 validates once more when a run goes on inside an epoch",
)
def test_resumed_inside_an_epoch_equals_uninterrupted(tmp_path):
    """Validated, and so kept, every other call of two; killed before the last of epoch two."""
    options = {"val_check_interval": 2}
    whole = train(tmp_path / "whole", WholeStepStrategy("cpu", 2), **options)
    with pytest.raises(Killed):
        train(tmp_path / "parts", WholeStepStrategy("cpu", 2), callbacks=(Kill(15),), **options)
    parts = train(tmp_path / "parts", WholeStepStrategy("cpu", 2), resume=True, **options)
    assert torch.load(tmp_path / "parts" / "best.ckpt", weights_only=True)["global_step"] % 9
    assert_same_run(parts, whole)


def test_other_iterations_inside_an_epoch_are_refused(tmp_path):
    options = {"val_check_interval": 2, "schedule": constant}
    with pytest.raises(Killed):
        train(tmp_path / "run", WholeStepStrategy("cpu", 2), callbacks=(Kill(15),), **options)
    with pytest.raises(ValueError, match=r"made 2 updates.*device_iterations=2"):
        train(tmp_path / "run", WholeStepStrategy("cpu", 4), resume=True, **options)


def test_a_run_that_max_steps_ended_goes_on_as_plain_lightning_does(tmp_path):
    runs = []
    for name, iterations in (("plain", None), ("whole", 4)):
        for options in ({"max_steps": 6}, {"resume": True}):
            strategy = "auto" if iterations is None else WholeStepStrategy("cpu", iterations)
            run = train(tmp_path / name, strategy, schedule=constant, **options)
        runs.append(run)
    assert_same_run(runs[1], runs[0])


@pytest.mark.weight_average
@pytest.mark.parametrize("iterations", [1, 4])
def test_an_update_without_molecules_changes_nothing(tmp_path, iterations):
    """Thirty empty packs beside 17: some updates have none; weight decay would show."""
    optimizer = partial(torch.optim.AdamW, lr=2e-2, weight_decay=0.5)
    data = make_data(num_empty_packs=30)
    run = train(
        tmp_path / "run",
        WholeStepStrategy("cpu", iterations),
        optimizer=optimizer,
        schedule=constant,
        callbacks=(ema(0.7),),
        data=data,
        max_epochs=1,
        precision="64-true",
    )
    losses = [float(row["train/loss"]) for row in run.rows if row["train/loss"]]
    made = sum(loss > 0 for loss in losses)
    assert 0 < made < len(losses) == run.trainer.global_step
    state = run.checkpoint["optimizer_states"][0]["state"]
    assert {float(values["step"]) for values in state.values()} == {made}
    assert run.checkpoint["averaging_state"]["n_averaged"] == made


def test_a_bad_loss_is_told_with_its_update(tmp_path):
    with pytest.raises(ValueError, match=r"training loss is (nan|inf) at update [1-7], epoch 0"):
        train(
            tmp_path / "run",
            WholeStepStrategy("cpu", 8),
            optimizer=partial(torch.optim.SGD, lr=1e38),
            schedule=constant,
            gradient_clip_val=None,
        )


def test_molecules_and_updates_are_counted_inside_calls(tmp_path):
    plain = train(tmp_path / "plain", max_epochs=2)
    whole = train(tmp_path / "whole", WholeStepStrategy("cpu", 4), max_epochs=2)
    counts = [
        (run.meter.state_dict()["run"]["molecules"], run.meter.state_dict()["run"]["updates"])
        for run in (plain, whole)
    ]
    assert counts[0] == counts[1] == (2 * 64, 2 * UPDATES_PER_EPOCH)
