"""The metering callback in training, with a clock, energy counters and a device that are told."""

from __future__ import annotations

import math

import pytest
import torch
from pytorch_lightning.callbacks import LambdaCallback
from pytorch_lightning.strategies import SingleDeviceStrategy
from tiny_run import Clock, fit

from gnnpack.tracking.marks import HostMark
from gnnpack.tracking.metering import Metering
from gnnpack.tracking.pieces import STEPS_TIMED, Pieces


class Joules:
    """Draws ten watts of a clock."""

    source, of_machine = "fake", False

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def joules(self) -> float:
        return 10.0 * self.clock.now


def run(folder, real, *, skip=2, clock=None, energy=True, marks=None, others=(), **more):
    clock = Clock() if clock is None else clock
    options = {} if marks is None else {"marks": marks}
    metering = Metering(
        skip, clock=clock, counters=lambda device: [Joules(clock)] if energy else [], **options
    )
    return metering, fit(folder, real=real, callbacks=[metering, *others], clock=clock, **more)


def test_windows_leave_out_first_steps_and_validation(tmp_path):
    # A step takes a second and so is a window of its own; a validation takes a hundred.
    metering, _ = run(tmp_path, [1, 2, 3, 4, 5], max_epochs=2, val_check_interval=2)
    found = metering.summary()
    # Steps 3, 4 and 5 of the first epoch, and the second epoch.
    rates = [3, 4, 5, 1, 2, 3, 4, 5]
    assert found["num_windows"] == len(rates)
    assert found["molecules_per_second_median"] == pytest.approx(3.5)
    assert found["step_seconds_p50"] == pytest.approx(1.0, rel=0.02)
    assert found["train_seconds"] == 10.0
    assert found["energy_joules_per_molecule"] == pytest.approx(10.0 * 8 / sum(rates))
    assert found["energy_source"] == "fake"
    assert metering.latest_molecules_per_second == 5.0


def test_waiting_for_input_is_part_of_a_step(tmp_path):
    metering, _ = run(tmp_path, [6] * 6, wait=1.0)
    found = metering.summary()
    assert found["molecules_per_second_median"] == 3.0
    assert found["step_seconds_p90"] == pytest.approx(2.0, rel=0.02)


def test_a_short_run_counts_all_but_its_first_step(tmp_path):
    metering, _ = run(tmp_path, [1, 7, 7], skip=10)
    found = metering.summary()
    assert (found["molecules_per_second_median"], found["num_windows"]) == (7.0, 2)
    assert found["energy_joules_per_molecule"] == pytest.approx(10.0 / 7)


def test_energy_of_less_than_two_seconds_is_none(tmp_path):
    """Counters are renewed some ten times a second."""
    metering, trainer = run(tmp_path, [1, 7], skip=10)
    found = metering.summary()
    assert found["molecules_per_second_median"] == 7.0
    assert found["measured_seconds"] == 1.0
    assert (found["energy_joules_per_molecule"], found["energy_source"]) == (None, None)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    again, _ = run(tmp_path, [1, 7], skip=10, max_epochs=2, ckpt_path=tmp_path / "half.ckpt")
    found = again.summary()
    assert found["measured_seconds"] == 2.0
    assert found["energy_joules_per_molecule"] == pytest.approx(20.0 / 14)


def test_one_step_measures_nothing_but_its_length(tmp_path):
    metering, _ = run(tmp_path, [3], energy=False)
    found = metering.summary()
    assert found["train_seconds"] == 1.0
    assert found.pop("num_windows") == 0
    known = {key for key, value in found.items() if value is not None}
    assert known <= {"train_seconds", "peak_host_bytes"}


def test_what_first_steps_take_beyond_the_usual_is_compilation(tmp_path):
    clock = Clock()

    class Compiling:
        seconds = 5.0

    metering = Metering(3, compiling=Compiling(), clock=clock, counters=lambda device: [])

    def slow_first(trainer, *arguments):
        # The first step takes 8 s, the second 3 s, all others one.
        clock.now += {0: 7.0, 1: 2.0}.get(trainer.global_step, 0.0)

    slow = LambdaCallback(on_before_zero_grad=slow_first)
    fit(tmp_path, real=[1] * 6, callbacks=[slow, metering], clock=clock)
    assert metering.summary()["compile_seconds"] == pytest.approx(5.0 + 7.0 + 2.0, abs=0.1)
    assert metering.capture_seconds is None


def test_captures_are_no_compilation_and_parts_add_up(tmp_path, monkeypatch):
    """Each part takes 7 s longer in its first step, 4 of them for captures."""
    clock = Clock()
    told = {"graph_captures": 1, "capture_seconds": 4.0}
    monkeypatch.setattr(SingleDeviceStrategy, "run_summary", told, raising=False)

    def part(**more):
        first = []

        def slow_first(*arguments):
            clock.now += 0.0 if first else 7.0
            first.append(True)

        metering = Metering(3, clock=clock, counters=lambda device: [])
        callbacks = [LambdaCallback(on_before_zero_grad=slow_first), metering]
        return metering, fit(tmp_path, real=[1] * 6, callbacks=callbacks, clock=clock, **more)

    whole, trainer = part()
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    again, _ = part(max_epochs=2, ckpt_path=tmp_path / "half.ckpt")
    for number, metering in enumerate((whole, again), 1):
        assert metering.capture_seconds == 4.0 * number
        assert metering.summary()["compile_seconds"] == pytest.approx(3.0 * number, abs=0.1)


def test_a_resumed_run_is_measured_as_one(tmp_path):
    _, trainer = run(tmp_path, [2] * 4)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    # A safe loader reads it, so it is made of plain values.
    torch.load(tmp_path / "half.ckpt", weights_only=True)
    again, _ = run(tmp_path, [8] * 4, max_epochs=2, ckpt_path=tmp_path / "half.ckpt")
    found = again.summary()
    assert found["num_windows"] == 4
    assert found["molecules_per_second_p10"] == 2.0
    assert found["molecules_per_second_p90"] == 8.0
    assert found["train_seconds"] == 8.0
    assert found["energy_joules_per_molecule"] == pytest.approx(40 / (2 * 2 + 2 * 8))


class LateDevice:
    """Gets on only while it is waited for."""

    def __init__(self, clock: Clock, behind: float = 0.0) -> None:
        self.clock, self.waits, self.done = clock, 0, float("-inf")
        self.behind = behind  # seconds that the first wait takes

    def mark(self) -> LateMark:
        return LateMark(self)


class LateMark:
    def __init__(self, device: LateDevice) -> None:
        self.device, self.time = device, device.clock.now

    def seconds_since(self, earlier: LateMark) -> float:
        assert self.reached(), "the device is not there yet"
        return self.time - earlier.time

    def reached(self) -> bool:
        return self.time <= self.device.done

    def wait(self) -> None:
        if self.reached():
            return
        self.device.waits += 1
        self.device.clock.now += self.device.behind
        self.device.behind = 0.0
        self.device.done = self.device.clock.now


def test_a_device_is_waited_for_where_an_epoch_ends_and_nowhere_else(tmp_path):
    clock, waits = Clock(), []
    device = LateDevice(clock)
    note = LambdaCallback(on_train_batch_end=lambda *_: waits.append(device.waits))
    metering, _ = run(
        tmp_path,
        [1, 2, 3, 4, 5],
        clock=clock,
        energy=False,
        marks=lambda *_: device.mark,
        check_val_every_n_epoch=2,
        others=[note],
    )
    assert waits == [0] * 5
    assert device.waits > 0
    found = metering.summary()
    assert (found["molecules_per_second_median"], found["num_windows"]) == (4.0, 3)


def test_what_is_queued_of_the_first_steps_draws_none_of_the_others_energy(tmp_path):
    clock = Clock()
    device = LateDevice(clock, behind=5.0)
    metering, _ = run(
        tmp_path,
        [1, 2, 3, 4, 5],
        clock=clock,
        marks=lambda *_: device.mark,
        check_val_every_n_epoch=2,
    )
    # Ten watts for three steps of a second.
    joules = metering.summary()["energy_joules_per_molecule"]
    assert joules == pytest.approx(10.0 * 3 / (3 + 4 + 5))


def test_a_piece_ends_behind_the_copy_of_its_numbers():
    """A mark of the last step's end may be reached before they have arrived."""
    clock = Clock()
    pieces = Pieces(lambda: HostMark(clock))
    take = pieces._counter.take

    def slow_take():
        clock.now += 1.0
        return take()

    pieces._counter.take = slow_take
    pieces.open()
    clock.now += 2.0
    pieces.add(type("B", (), {"molecules": (1,)})(), 1)
    pieces.close()
    (piece,) = pieces.finished()
    assert (piece.seconds, piece.step_seconds) == (3.0, [2.0])


def test_steps_of_a_fast_device_are_timed_in_part():
    clock, made = Clock(), []

    def mark():
        made.append(clock.now)
        return HostMark(clock)

    pieces = Pieces(mark)
    batch = type("B", (), {"molecules": (1,)})()
    pieces.open()
    for _ in range(3):
        for _ in range(1000):
            clock.now += 0.001
            pieces.add(batch, 1)
        made.clear()
        pieces.cut()
    found = list(pieces.finished())
    assert [piece.counts.molecules for piece in found] == [1000] * 3
    assert len(found[0].step_seconds) == 1000
    assert STEPS_TIMED * 0.8 < len(found[2].step_seconds) < STEPS_TIMED * 1.2
    assert all(math.isclose(each, 0.001, rel_tol=1e-6) for each in found[2].step_seconds)
