"""Learning rates start, peak and end where the options say."""

from __future__ import annotations

import sys

import pytest
import torch

from gnnpack.training import constant, cosine, ema, one_cycle, plateau

LR = 3e-3


def make_optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)


def rates(make_schedule, updates: int, **options) -> list[float]:
    optimizer = make_optimizer()
    schedule = make_schedule(optimizer, total_updates=updates, **options)["scheduler"]
    found = []
    for _ in range(updates):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_one_cycle_peaks_at_the_optimizers_rate():
    found = rates(one_cycle, 200, warmup=0.25, start_factor=0.1, final_factor=1e-3)
    assert max(found) == pytest.approx(LR, rel=1e-3)
    assert found.index(max(found)) == pytest.approx(50, abs=1)
    assert found[0] == pytest.approx(0.1 * LR)
    assert found[-1] == pytest.approx(1e-3 * LR, rel=1e-6)


def test_cosine_falls_from_the_optimizers_rate():
    found = rates(cosine, 100, final_factor=0.05)
    assert found[0] == pytest.approx(LR)
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(0.05 * LR, rel=0.02)


def test_plateau_watches_the_validation_error():
    made = plateau(make_optimizer(), total_updates=float("inf"), patience=0, factor=0.5)
    assert (made["monitor"], made["interval"]) == ("val/mae", "epoch")
    for _ in range(3):
        made["scheduler"].step(1.0)
    assert made["scheduler"].optimizer.param_groups[0]["lr"] == pytest.approx(0.25 * LR)


def test_constant_is_no_schedule():
    assert constant(make_optimizer(), total_updates=3) is None


@pytest.mark.parametrize("make_schedule", [one_cycle, cosine])
def test_a_schedule_of_known_length_needs_one(make_schedule):
    with pytest.raises(ValueError, match=r"inf updates\. Set trainer\.max_epochs"):
        make_schedule(make_optimizer(), total_updates=float("inf"))


@pytest.mark.parametrize("warmup", [0.0, 1.0, -0.1, 30])
def test_warmup_is_a_part_of_the_run(warmup):
    with pytest.raises(ValueError, match=r"schedule\.warmup"):
        one_cycle(make_optimizer(), total_updates=10, warmup=warmup)


@pytest.mark.parametrize("decay", [0.0, 1.0, 2])
def test_a_decay_outside_its_range_is_refused(decay):
    with pytest.raises(ValueError, match=r"callbacks\.ema\.decay"):
        ema(decay)


def test_a_lightning_without_the_callback_is_told_with_the_cure(monkeypatch):
    callbacks = sys.modules["pytorch_lightning.callbacks"]
    monkeypatch.delattr(callbacks, "WeightAveraging", raising=False)
    monkeypatch.delitem(sys.modules, "gnnpack.training.weight_average", raising=False)
    with pytest.raises(ValueError, match=r"needs pytorch-lightning 2\.6 or newer.*callbacks=def"):
        ema()
