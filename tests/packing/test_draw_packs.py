"""Packs drawn from a law: full, from what is there, as often as the law says."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from every_packer import quick, without_numba
from hypothesis import given
from hypothesis import strategies as st
from test_fill_law import classes, full_packs

from gnnpack.packing.draw_packs import draw_packs, draw_table

KEYS = st.integers(0, 2**64 - 1)


def drawn_packs(drawn):
    return [tuple(part.tolist()) for part in np.split(drawn.classes, drawn.offsets[1:-1])]


@given(
    case=classes(),
    capacity=st.integers(1, 12),
    count=st.integers(1, 30),
    most=st.one_of(st.none(), st.integers(1, 4)),
    key=KEYS,
)
@quick
def test_packs_are_full_and_use_only_what_is_there(case, capacity, count, most, key):
    sizes, weights = case
    counts = np.full(sizes.size, count)
    table = draw_table(sizes, weights, capacity)
    drawn = draw_packs(table, sizes, counts, 20, max_molecules=most, key=key)
    used = np.bincount(drawn.classes, minlength=sizes.size)
    np.testing.assert_array_equal(used + drawn.left, counts)
    assert drawn.left.min() >= 0
    for pack in drawn_packs(drawn) if drawn.offsets.size > 1 else []:
        assert sizes[list(pack)].sum() == capacity
        assert most is None or len(pack) <= most
    possible = [pack for pack in full_packs(sizes, capacity) if most is None or len(pack) <= most]
    if count >= 20 * 12 and possible:
        assert drawn.offsets.size == 21


@given(case=classes(), key=KEYS, num_filler=st.integers(0, 1))
@quick
def test_filler_fills_but_is_not_written(case, key, num_filler):
    sizes, weights = case
    counts = np.full(sizes.size, 1000)
    table = draw_table(sizes, weights, 10)
    shown = draw_packs(table, sizes, counts, 30, key=key)
    hidden = draw_packs(table, sizes, counts, 30, num_filler=num_filler, key=key)
    np.testing.assert_array_equal(shown.left, hidden.left)
    real = shown.classes < sizes.size - num_filler
    np.testing.assert_array_equal(hidden.classes, shown.classes[real])
    before = np.concatenate([[0], np.cumsum(real)])
    np.testing.assert_array_equal(hidden.offsets, before[shown.offsets])


def test_full_packs_come_as_often_as_their_weights_say():
    sizes = np.array([1, 2, 3])
    weights = np.array([0.5, 0.2, 0.3])
    num_packs = 40_000
    table = draw_table(sizes, weights, 5)
    drawn = draw_packs(table, sizes, np.full(3, 10**6), num_packs, key=11)
    packs = full_packs(sizes, 5)
    chance = np.array([prod(weights[i] for i in pack) for pack in packs])
    chance /= chance.sum()
    found = drawn_packs(drawn)
    times = np.array([found.count(pack) for pack in packs])
    assert times.sum() == num_packs
    deviation = np.sqrt(num_packs * chance * (1 - chance))
    assert (np.abs(times - num_packs * chance) < 5 * deviation).all()


def test_a_class_that_runs_out_stays_out():
    sizes = np.array([1, 2])
    table = draw_table(sizes, np.array([0.5, 0.5]), 4)
    drawn = draw_packs(table, sizes, np.array([3, 100]), 30, key=1)
    assert drawn.offsets.size == 31
    assert np.bincount(drawn.classes)[0] <= 3


def test_nothing_that_can_be_drawn_gives_no_packs():
    sizes = np.array([2])
    table = draw_table(sizes, np.array([1.0]), 3)
    drawn = draw_packs(table, sizes, np.array([5]), 2, key=1)
    assert (drawn.classes.size, drawn.offsets.tolist(), drawn.left.tolist()) == (0, [0], [5])


@given(case=classes(), key=KEYS)
@quick
def test_same_packs_without_numba(case, key):
    sizes, weights = case
    counts = np.full(sizes.size, 9)

    def draw():
        table = draw_table(sizes, weights, 13)
        return draw_packs(table, sizes, counts, 8, num_filler=1, max_molecules=5, key=key)

    with_numba = draw()
    with pytest.MonkeyPatch.context() as patch:
        without_numba(patch)
        plain = draw()
    for one, other in zip(with_numba, plain):
        np.testing.assert_array_equal(one, other)
