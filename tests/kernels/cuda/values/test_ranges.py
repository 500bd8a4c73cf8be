"""Ranges and sorted pairs against loops."""

from __future__ import annotations

import math

import pytest
import torch

from gnnpack.kernels.cuda import convolve, molecule_ranges
from tests.kernels.cuda.values.dense_reference import CUTOFF, packs

KNOTS = 13
# Molecules of one atom, a full pack, an empty pack.
SIZES = (3, 1, 5), (10,), (), (2, 4, 4)


def fields(device, sizes=SIZES, num_slots=10):
    return packs(*sizes, num_slots=num_slots, device=device)


def flat_molecules(sizes, num_slots):
    """(low, high) of every molecule, flat over the packs."""
    for pack, molecules in enumerate(sizes):
        start = pack * num_slots
        for size in molecules:
            yield start, start + size
            start += size


def test_ranges_are_the_slots_of_ones_own_molecule(device):
    ranges = molecule_ranges(*fields(device), CUTOFF, KNOTS)
    found = list(zip(ranges.low.tolist(), ranges.high.tolist()))
    wanted = {i: (a, e) for a, e in flat_molecules(SIZES, 10) for i in range(a, e)}
    for slot, (low, high) in enumerate(found):
        if slot in wanted:
            assert (low, high) == wanted[slot]
        else:
            assert low == high, "filler has no range"


@pytest.mark.parametrize("largest", [10, None])
def test_sorted_pairs_are_those_of_two_loops(device, largest):
    pos, slot, mask = fields(device)
    ranges = molecule_ranges(pos, slot, mask, CUTOFF, KNOTS, largest_molecule=largest)
    flat = pos.view(-1, 3).tolist()
    step = CUTOFF / (KNOTS - 1)
    wanted = {}
    for low, high in flat_molecules(SIZES, 10):
        for i in range(low, high):
            for j in range(i + 1, high):
                distance = math.dist(flat[i], flat[j])
                if distance < CUTOFF:
                    wanted[i, j] = distance / step
    bins = ranges.bins.tolist()
    assert bins[0] == 0
    assert bins == sorted(bins)
    assert bins[-1] == len(wanted) > 20
    first, second = ranges.first.tolist(), ranges.second.tolist()
    for bin_, (begin, end) in enumerate(zip(bins, bins[1:])):
        for place in range(begin, end):
            x = wanted.pop((first[place], second[place]))
            assert ranges.coordinate[place].item() == pytest.approx(x, rel=1e-5)
            assert min(int(ranges.coordinate[place].item()), KNOTS - 2) == bin_
    assert not wanted


def test_pairs_have_room_for_any_molecules_up_to_the_largest(device):
    ranges = molecule_ranges(*fields(device, [(4, 4, 2)]), CUTOFF, KNOTS, largest_molecule=4)
    assert ranges.first.shape == (15,)
    assert molecule_ranges(*fields(device), CUTOFF, KNOTS).first.shape == (4 * 45,)


def test_a_molecule_larger_than_the_largest_shows_as_nan_in_the_gradient(device):
    pos, slot, mask = fields(device, [(10,), (5, 5)])
    table = torch.zeros(KNOTS, 1, 4, device=device, requires_grad=True)
    for largest, is_finite in ((10, True), (5, False)):
        ranges = molecule_ranges(pos, slot, mask, CUTOFF, KNOTS, largest_molecule=largest)
        out = convolve(torch.ones(20, 4, device=device), table, ranges)
        (grad,) = torch.autograd.grad(out.sum(), table)
        assert bool(grad.isfinite().all()) is is_finite


def test_ranges_without_pairs_serve_evaluation_alone(device):
    ranges = molecule_ranges(*fields(device), CUTOFF, KNOTS, sort_pairs=False)
    features = torch.ones(40, 4, device=device)
    table = torch.ones(KNOTS, 1, 4, device=device, requires_grad=True)
    out = convolve(features, table, ranges)
    assert out.any()
    with pytest.raises(ValueError, match="sort_pairs=True"):
        out.sum().backward()


def test_packs_of_one_slot_have_no_pairs(device):
    ranges = molecule_ranges(*fields(device, [(1,), (), (1,)], 1), CUTOFF, KNOTS)
    table = torch.ones(KNOTS, 2, 4, device=device, requires_grad=True)
    out = convolve(torch.ones(3, 4, device=device), table, ranges)
    out.sum().backward()
    assert not out.any()
    assert not table.grad.any()


def test_positions_in_double_and_tables_without_a_bin_are_refused(device):
    pos, slot, mask = fields(device)
    with pytest.raises(ValueError, match="float32"):
        molecule_ranges(pos.double(), slot, mask, CUTOFF, KNOTS)
    with pytest.raises(ValueError, match="1 knots"):
        molecule_ranges(pos, slot, mask, CUTOFF, 1)
