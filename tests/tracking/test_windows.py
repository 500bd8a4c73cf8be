"""Windows, step times and batch counts: what they keep, and how little of it."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import pytest
import torch

from gnnpack.tracking.step_counts import STEPS_AT_ONCE, Counts, StepCounter
from gnnpack.tracking.step_times import WIDTH, StepTimes
from gnnpack.tracking.windows import Window, Windows


def windows_of(*parts: Window, **options) -> Windows:
    windows = Windows(**options)
    for part in parts:
        windows.add(part)
    return windows


def test_a_window_ends_when_it_is_long_enough():
    parts = [Window(10, 100, 0.4)] * 7
    windows = windows_of(*parts)
    # 1.2 s each; the last 0.4 s are less than half a window.
    assert windows.all == [pytest.approx(Window(30, 300, 1.2))] * 2
    windows.add(Window(10, 100, 0.1))
    assert len(windows.all) == 3
    assert windows.latest_molecules_per_second == pytest.approx(25.0)


def test_a_run_shorter_than_a_window_is_one():
    windows = windows_of(Window(6, 0, 0.2))
    assert windows.summary() == {
        "molecules_per_second_median": 30.0,
        "molecules_per_second_p10": 30.0,
        "molecules_per_second_p90": 30.0,
        "atoms_per_second_median": None,
        "num_windows": 1,
        "measured_seconds": 0.2,
    }
    assert windows.latest_molecules_per_second is None
    assert set(Windows().summary().values()) == {None, 0}


def test_rates_are_the_spread_of_the_windows():
    windows = windows_of(*(Window(n, 10 * n, 1.0) for n in range(11)))
    found = windows.summary(ranks=2)
    assert found["molecules_per_second_median"] == 10.0
    assert found["molecules_per_second_p10"] == 2.0
    assert found["molecules_per_second_p90"] == 18.0
    assert found["atoms_per_second_median"] == 100.0
    assert found["measured_seconds"] == 11.0


@pytest.mark.parametrize("most", [4, 5])
def test_many_windows_are_joined_and_nothing_is_lost(most):
    windows = windows_of(*(Window(n, 2 * n, 1.0) for n in range(37)), most=most)
    kept = windows.state_dict()
    total = Window()
    for each in [*kept["closed"], kept["open"]]:
        total = total.plus(Window(*each))
    assert total == (sum(range(37)), 2 * sum(range(37)), 37.0)
    assert len(windows.all) <= most
    assert windows.least_seconds >= 8.0
    assert all(each.seconds >= windows.least_seconds for each in windows.all[:-1])


def test_windows_go_on_from_plain_numbers():
    parts = [Window(n, n, 0.7) for n in range(9)]
    whole = windows_of(*parts, most=3)
    first, second = windows_of(*parts[:5], most=3), Windows(most=3)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for part in parts[5:]:
        second.add(part)
    assert second.state_dict() == whole.state_dict()


def test_percentiles_of_step_times_are_exact_to_a_bin():
    seconds = np.random.RandomState(0).lognormal(-5.0, 1.0, 5000)
    times = StepTimes()
    for each in seconds:
        times.add(each)
    for percent in (10, 50, 90, 99):
        expected = np.percentile(seconds, percent)
        assert times.percentile(percent) == pytest.approx(expected, rel=WIDTH)
    assert len(times.state_dict()["bins"]) < 500
    again = StepTimes()
    again.load_state_dict(json.loads(json.dumps(times.state_dict())))
    assert again.summary() == times.summary()
    assert StepTimes().percentile(50) is None


class Packs(NamedTuple):
    molecule_mask: torch.Tensor
    num_atoms: torch.Tensor
    atom_mask: torch.Tensor


def packs(*num_atoms: int) -> Packs:
    """Packs of three slots of atoms and a molecule each."""
    atoms = torch.tensor(num_atoms)[:, None]
    return Packs(atoms > 0, atoms, torch.arange(3) < atoms)


@pytest.mark.parametrize("steps", [1, STEPS_AT_ONCE, 2 * STEPS_AT_ONCE + 5])
def test_counts_are_those_of_the_masks_empty_packs_included(steps):
    counter = StepCounter()
    for _ in range(steps):
        counter.add(packs(3, 1, 0), 1)
    assert counter.take()() == Counts(2 * steps, 4 * steps, 9 * steps)
    assert counter.take()() == Counts()


class Call:
    """What a whole step tells of its updates."""

    molecules, atoms, atom_slots = (5, 3, 2), (50, 30, 20), 300


def test_updates_that_were_not_made_do_not_count():
    counter = StepCounter()
    counter.add(Call(), 3)
    counter.add(Call(), 1)
    assert counter.take()() == Counts(15, 150, 400)


def test_batches_that_know_no_atoms_have_none():
    counter = StepCounter()
    counter.add(type("Masked", (), {"molecule_mask": torch.ones(2, 4, dtype=torch.bool)})(), 1)
    assert counter.take()() == Counts(8, 0, 0)


def test_a_batch_without_mask_is_refused():
    with pytest.raises(ValueError, match="tuple without the tensor molecule_mask"):
        StepCounter().add((), 1)
