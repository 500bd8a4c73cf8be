from __future__ import annotations

import pytest
from tiny_run import Clock, fit

from gnnpack.tracking import ThroughputMeter
from gnnpack.tracking.throughput import Tally


def run(folder, real, *, skip=10, epochs=1, wait=0.0, **more):
    clock = Clock()
    meter = ThroughputMeter(skip, clock=clock)
    trainer = fit(
        folder, real=real, callbacks=[meter], clock=clock, wait=wait, max_epochs=epochs, **more
    )
    return meter, trainer


def test_first_steps_and_validation_are_left_out(tmp_path):
    # Steps 1 and 2 are skipped; 3, 4 and 5 hold 3 + 4 + 5 real molecules in 3 seconds.
    meter, _ = run(tmp_path, [1, 2, 3, 4, 5], skip=2)
    found = meter.summary()
    assert (found["train_molecules_per_second"], found["input_wait_fraction"]) == (4.0, 0.0)
    assert not meter.counted_all_but_first


def test_waiting_for_input_counts(tmp_path):
    meter, _ = run(tmp_path, [6] * 8, skip=3, wait=1.0)
    found = meter.summary()
    assert (found["train_molecules_per_second"], found["input_wait_fraction"]) == (3.0, 0.5)


def test_validation_inside_an_epoch_is_left_out(tmp_path):
    meter, _ = run(tmp_path, [5] * 8, skip=1, epochs=2, val_check_interval=2)
    assert meter.summary()["train_molecules_per_second"] == pytest.approx(5.0)


def test_a_short_run_counts_all_but_its_first_step(tmp_path):
    meter, _ = run(tmp_path, [1, 7, 7, 7])
    assert meter.summary()["train_molecules_per_second"] == 7.0
    assert meter.counted_all_but_first


def test_one_step_measures_nothing(tmp_path):
    meter, _ = run(tmp_path, [3])
    assert set(meter.summary().values()) == {None}


def test_each_epoch_is_logged(tmp_path):
    _, trainer = run(tmp_path, [1, 2, 4, 4], skip=2, epochs=3, wait=1.0)
    # The last epoch: 11 molecules in 4 steps of 2 seconds.
    assert float(trainer.callback_metrics["train/molecules_per_second"]) == 11 / 8
    assert float(trainer.callback_metrics["train/input_wait_fraction"]) == 0.5


def test_a_resumed_run_is_measured_as_one(tmp_path):
    first, trainer = run(tmp_path, [2] * 4, skip=2)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    clock = Clock()
    second = ThroughputMeter(2, clock=clock)
    fit(
        tmp_path,
        real=[8] * 4,
        callbacks=[second],
        clock=clock,
        max_epochs=2,
        ckpt_path=tmp_path / "half.ckpt",
    )
    assert first.summary()["train_molecules_per_second"] == 2.0
    assert second.summary()["train_molecules_per_second"] == (2 * 2 + 2 * 8) / 4


def test_recent_rate_is_of_the_last_second_or_more(tmp_path):
    meter, _ = run(tmp_path, [1, 2, 3, 4, 5], skip=2)
    assert meter.recent_molecules_per_second == 4.0


def test_the_hosts_own_work_is_what_is_neither_waiting_nor_blocked():
    tally = Tally(64, host_steps=2, seconds=5.0, wait_seconds=1.0, updates=8, blocked_seconds=2.4)
    assert tally.host_seconds_per_update == pytest.approx(0.2)
    assert Tally(host_steps=3, seconds=1.0).host_seconds_per_update is None


def test_a_strategy_that_is_not_blocked_leaves_the_hosts_work_unknown(tmp_path):
    meter, trainer = run(tmp_path, [4] * 5, skip=0)
    assert meter.summary()["host_seconds_per_update"] is None
    assert "train/host_seconds_per_update" not in trainer.callback_metrics


def test_bad_skip_and_empty_tally():
    with pytest.raises(ValueError, match="skip_host_steps is -1"):
        ThroughputMeter(-1)
    assert Tally().input_wait_fraction is None
