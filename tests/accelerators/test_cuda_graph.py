"""The graph strategy, with graphs emulated on the CPU by their rules."""

from __future__ import annotations

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from recorded_graph import RecordedCapture
from tests.conftest import named
from tiny_training import UPDATES_PER_EPOCH, TinyModel, assert_same_run, make_data, train

from gnnpack.accelerators import CUDAGraphStrategy
from gnnpack.training import constant, cosine, ema, plateau
from gnnpack.training.fused import _torch_has_it

# The strategy takes torch's fused update, and the graphs are emulated on the CPU.
pytestmark = pytest.mark.skipif(
    not _torch_has_it(torch.optim.AdamW), reason="torch before 2.4 has no fused update on a CPU"
)
# What the strategy makes of torch's AdamW.
FUSED = partial(torch.optim.AdamW, lr=2e-2, fused=True)


def graphs(iterations: int) -> CUDAGraphStrategy:
    return CUDAGraphStrategy("cpu", iterations, capture=RecordedCapture())


# The emulation runs a capture's kernels and undoes them, so the epoch must still hold as many
# packs: resident with 8 of 9 updates a call is the case it cannot show.
@pytest.mark.parametrize(
    "iterations, place",
    [(n, place) for n in (1, 3, 4) for place in ("host", "resident")] + [(8, "host")],
)
def test_replays_equal_plain_lightning(tmp_path, iterations, place):
    plain = train(tmp_path / "plain", optimizer=FUSED, callbacks=(ema(0.7),), max_epochs=4)
    strategy = graphs(iterations)
    run = train(
        tmp_path / "graph",
        strategy,
        optimizer=FUSED,
        callbacks=(ema(0.7),),
        data=make_data(place=place),
        max_epochs=4,
    )
    assert_same_run(run, plain)
    sizes = 1 if UPDATES_PER_EPOCH % iterations == 0 else 2
    told = dict(strategy.run_summary)
    assert told.pop("capture_seconds") > 0
    assert told == {"graph_captures": sizes, "graph_recaptures": 0}
    calls = 4 * -(-UPDATES_PER_EPOCH // iterations)
    assert strategy._capture.replays == calls - strategy.steps_without_graph > 0
    # Three updates from Python at most, in whole calls.
    assert strategy.steps_without_graph == -(-3 // iterations)


@pytest.mark.parametrize(
    "options",
    [
        {"schedule": constant},
        {"schedule": cosine},
        {"schedule": partial(plateau, patience=0, factor=0.5)},
        {"precision": "64-true"},
        # Lightning does not clip for fused optimizers under mixed precision.
        {"precision": "bf16-mixed", "gradient_clip_val": None},
        {"max_steps": 22},
        {"optimizer": partial(torch.optim.SGD, lr=1e-2, momentum=0.9, fused=True)},
    ],
    ids=named,
)
def test_settings_mean_the_same_in_a_graph(tmp_path, options):
    options = {"optimizer": FUSED, **options}
    strategy = graphs(4)
    run = train(tmp_path / "graph", strategy, data=make_data(place="resident"), **options)
    assert_same_run(run, train(tmp_path / "plain", **options))
    assert strategy._capture.replays > 0


@pytest.mark.parametrize("place", ["host", "resident"])
def test_resumed_equals_uninterrupted(tmp_path, place):
    options = {"optimizer": FUSED, "schedule": constant}
    whole = train(tmp_path / "whole", callbacks=(ema(0.7),), **options)
    for part in ({"max_epochs": 1}, {"resume": True}):
        strategy = graphs(4)
        run = train(
            tmp_path / "parts",
            strategy,
            callbacks=(ema(0.7),),
            data=make_data(place=place),
            **options,
            **part,
        )
        assert strategy._capture.replays > 0
    assert_same_run(run, whole)


def test_a_run_of_graphs_goes_on_without_them(tmp_path):
    """The checkpoint keeps the optimizer in the user's form, not in the graph's."""
    own = partial(torch.optim.AdamW, lr=2e-2, fused=False)
    options = {"optimizer": own, "schedule": constant}
    run = train(tmp_path / "run", graphs(4), max_epochs=1, **options)
    kept = run.checkpoint["optimizer_states"][0]["param_groups"][0]
    assert (kept["capturable"], kept["fused"], kept["foreach"]) == (False, False, None)
    again = train(tmp_path / "run", resume=True, **options)
    whole = train(tmp_path / "whole", **options)
    for name, value in whole.weights.items():
        torch.testing.assert_close(again.weights[name], value)


def test_calls_without_a_graph_are_the_same_updates(tmp_path):
    """Calls with an update without molecules run from Python, between replays."""
    data = partial(make_data, num_empty_packs=30)
    options = {"optimizer": FUSED, "schedule": constant, "precision": "64-true"}
    strategy = graphs(2)
    run = train(tmp_path / "graph", strategy, data=data(place="resident"), **options)
    plain = train(
        tmp_path / "python", CUDAGraphStrategy("cpu", 1, RecordedCapture()), data=data(), **options
    )
    for name, value in plain.weights.items():
        assert torch.equal(run.weights[name], value), name
    assert strategy._capture.replays > 0
    assert strategy.steps_without_graph > 2


class ReadsBack(TinyModel):
    def forward(self, batch):
        return super().forward(batch) * (1 if bool(batch.atom_mask.any()) else 2)


def test_what_cannot_be_captured_runs_from_python_and_is_told(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("tiny_training.TinyModel", ReadsBack)
    strategy = graphs(4)
    run = train(tmp_path / "graph", strategy, optimizer=FUSED)
    assert_same_run(run, train(tmp_path / "plain", optimizer=FUSED))
    told = [text for text in caplog.messages if "cannot be captured" in text]
    assert len(told) == 1
    assert "_local_scalar_dense" in told[0]
    assert strategy.captures == strategy.recaptures == 0


class GivesNewMemory(pl.Callback):
    def on_validation_end(self, trainer, pl_module):
        for parameter in pl_module.parameters():
            parameter.data = parameter.data.clone()


def test_weights_that_move_are_noticed_and_captured_again(tmp_path, caplog):
    strategy = graphs(4)
    run = train(tmp_path / "graph", strategy, optimizer=FUSED, callbacks=(GivesNewMemory(),))
    assert_same_run(run, train(tmp_path / "plain", optimizer=FUSED))
    assert strategy.recaptures == 4
    assert any("captured again" in text for text in caplog.messages)


def test_captures_are_told_when_training_ends(tmp_path, caplog):
    with caplog.at_level("INFO"):
        train(tmp_path / "graph", graphs(4), optimizer=FUSED)
    assert "graph captures: 2, re-captures in training: 0" in caplog.text


def test_a_bad_loss_is_told_one_call_later_and_before_a_checkpoint(tmp_path):
    folder = tmp_path / "run"
    every = ModelCheckpoint(folder, filename="{step}", every_n_train_steps=3, save_top_k=-1)
    with pytest.raises(ValueError, match=r"training loss is (nan|inf) at update [1-9], epoch 0"):
        train(
            folder,
            graphs(3),
            optimizer=partial(torch.optim.SGD, lr=1e38, fused=True),
            schedule=constant,
            callbacks=(every,),
            gradient_clip_val=None,
        )
    assert not list(folder.glob("*.ckpt"))


def test_the_hosts_own_work_is_reported(tmp_path):
    run = train(tmp_path / "run", graphs(4), optimizer=FUSED)
    # The emulation says that the host was blocked for a quarter of a second each call.
    assert run.trainer.strategy.blocked_seconds == 0.25 * 9
    assert run.meter.summary()["host_seconds_per_update"] is not None
    assert "train/host_seconds_per_update" in run.trainer.callback_metrics
