"""live.json: what it says when, and how seldom it is written."""

from __future__ import annotations

import json

import pytest
import torch
from pytorch_lightning.callbacks import LambdaCallback, Timer
from tiny_run import Clock, fit

from gnnpack.tracking.late_number import LateNumber
from gnnpack.tracking.live import Live
from gnnpack.tracking.metering import Metering

KEYS = {
    "phase",
    "epoch",
    "max_epochs",
    "updates",
    "total_updates",
    "loss",
    "val_mae",
    "molecules_per_second",
    "seconds",
    "seconds_left",
    "time",
}


def read(folder) -> dict:
    file = folder / "live.json"
    return json.loads(file.read_text()) if file.is_file() else {}


def watch(folder, *, steps=5, step=1.0, total=10.0, others=(), **more):
    """Train; what live.json said after each training and validation batch."""
    clock, said = Clock(), []
    metering = Metering(1, clock=clock, counters=lambda device: [])
    live = Live(
        folder,
        metering=metering,
        total_updates=lambda trainer: total,
        clock=clock,
        wall=lambda: 1_800_000_000.0,
    )
    # The module moves the clock by a second a step.
    slower = LambdaCallback(
        on_train_batch_start=lambda *_: setattr(clock, "now", clock.now + step - 1.0)
    )
    note = LambdaCallback(
        on_train_batch_end=lambda *_: said.append(read(folder)),
        on_validation_batch_end=lambda *_: said.append(read(folder)),
    )
    callbacks = [slower, metering, live, *others, note]
    fit(folder, real=[4] * steps, callbacks=callbacks, clock=clock, max_epochs=2, **more)
    return live, said


def test_it_is_there_from_the_start(tmp_path):
    Live(tmp_path / "new" / "run")
    found = read(tmp_path / "new" / "run")
    assert set(found) == KEYS
    assert (found["phase"], found["updates"], found["seconds_left"]) == ("starting", 0, None)


def test_it_tells_how_far_a_run_is(tmp_path):
    live, said = watch(tmp_path)
    second = next(each for each in said if each["epoch"] == 2 and each["phase"] == "training")
    assert set(second) == KEYS
    assert (second["max_epochs"], second["total_updates"]) == (2, 10)
    assert second["molecules_per_second"] == 4.0
    assert second["val_mae"] > 0
    assert second["loss"] > 0
    assert second["time"] == 1_800_000_000.0
    # A validation takes a hundred seconds and counts, or the time left would be too short; that
    # of the sanity check before does not.
    updates, trained = second["updates"], second["seconds"] - 100.0
    assert trained > 100.0
    assert second["seconds_left"] == pytest.approx((10 - updates) * trained / updates)
    assert {"training", "validating"} <= {each["phase"] for each in said}
    live.done()
    assert read(tmp_path)["phase"] == "done"
    assert not list(tmp_path.glob(".live*"))


def test_it_is_written_every_two_seconds_at_most(tmp_path):
    _, said = watch(tmp_path, steps=40, step=0.1, check_val_every_n_epoch=9)
    times = sorted({each["seconds"] for each in said})
    assert 3 <= len(times) <= 6
    assert all(later - one >= 2.0 for one, later in zip(times, times[1:]))


def test_a_limit_of_time_may_end_it_earlier_and_a_run_may_have_no_end(tmp_path):
    timer = Timer("00:00:10:00")
    _, said = watch(tmp_path, total=1e9, others=[timer])
    assert 0 < said[-1]["seconds_left"] <= 600
    _, said = watch(tmp_path, total=float("inf"))
    assert said[-1]["total_updates"] is None
    assert said[-1]["seconds_left"] is None


def test_a_run_that_never_trained_leaves_the_one_before_it(tmp_path):
    live, _ = watch(tmp_path)
    live.done()
    before = read(tmp_path)
    Live(tmp_path).ended_by(ValueError())
    assert read(tmp_path) == before
    Live(tmp_path / "other").ended_by(ValueError())
    assert not (tmp_path / "other" / "live.json").exists()


@pytest.mark.parametrize(
    "error, end",
    [
        (ValueError("no number.\nMore."), {"phase": "failed", "reason": "ValueError: no number."}),
        (KeyboardInterrupt(), {"phase": "stopped"}),
        (SystemExit(1), {"phase": "stopped"}),
    ],
)
def test_a_run_that_trained_tells_how_it_ended(tmp_path, error, end):
    live, _ = watch(tmp_path)
    live._loss._coming = torch.tensor(2.0), Broken()
    live.ended_by(error)
    found = read(tmp_path)
    assert {key: found[key] for key in found if key in ("phase", "reason")} == end
    assert found["loss"] > 0


def test_a_disk_that_refuses_ends_no_run(tmp_path):
    (tmp_path / "live.json").mkdir()
    watch(tmp_path)[0].done()
    assert (tmp_path / "live.json").is_dir()


def test_other_processes_than_the_first_write_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("pytorch_lightning.utilities.rank_zero_only.rank", 1)
    Live(tmp_path).ended_by(ValueError())
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_no_number_is_none():
    number = LateNumber()
    assert number.look() is None
    number.send_for(torch.tensor(2.5))
    assert number.look() == 2.5
    number.send_for(float("nan"))
    assert number.look() is None


class Broken:
    """An event of a device that has failed."""

    def query(self) -> bool:
        raise RuntimeError("CUDA error")


class OnItsWay:
    """An event of a device that is slow."""

    def __init__(self) -> None:
        self.there = False

    def query(self) -> bool:
        return self.there


def test_a_number_on_its_way_is_not_waited_for():
    number, event = LateNumber(), OnItsWay()
    number.value = 1.0
    number._coming = torch.tensor(2.0), event
    assert number.look() == 1.0
    event.there = True
    assert number.look() == 2.0


def test_no_loss_is_made_a_number_in_training(tmp_path, monkeypatch):
    """Lightning does that to all metrics of a progress bar when it is asked for any."""
    sent, item = [], torch.Tensor.item

    class Watched(Live):
        def _tick(self, trainer, phase):
            if phase == "training":
                monkeypatch.setattr(torch.Tensor, "item", None)
            super()._tick(trainer, phase)
            monkeypatch.setattr(torch.Tensor, "item", item)

    monkeypatch.setattr(LateNumber, "send_for", lambda self, number: sent.append(number))
    clock = Clock()
    live = Watched(tmp_path, clock=clock)
    fit(tmp_path, real=[4] * 5, callbacks=[live], clock=clock, check_val_every_n_epoch=2)
    assert len(sent) >= 2
    assert all(isinstance(loss, torch.Tensor) for loss in sent)


def test_a_change_of_phase_waits_for_its_turn(tmp_path):
    live = Live(tmp_path, clock=Clock())
    live.on_test_start(None, None)
    assert read(tmp_path)["phase"] == "starting"
