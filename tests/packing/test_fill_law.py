"""The law of full packs, against all of them written out."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from every_packer import quick, without_numba
from hypothesis import assume, given
from hypothesis import strategies as st

from gnnpack.packing.fill_law import fill_series, fit_fill_law


@st.composite
def classes(draw, most=4):
    """(sizes, weights) of distinct classes."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=most, unique=True))
    weights = draw(st.lists(st.floats(0.05, 1.0), min_size=len(sizes), max_size=len(sizes)))
    return np.array(sizes), np.array(weights)


def full_packs(sizes, capacity):
    """All sequences of classes of exactly this many atoms."""
    found, open_ones = [], [()]
    while open_ones:
        sequence = open_ones.pop()
        held = sum(sizes[i] for i in sequence)
        if held == capacity:
            found.append(sequence)
        elif held < capacity:
            open_ones += [(*sequence, i) for i in range(len(sizes))]
    return found


def expected_counts(sizes, weights, capacity):
    """Mean number of each class over all full packs, each as likely as its weights' product."""
    packs = full_packs(sizes, capacity)
    chance = np.array([prod(weights[i] for i in pack) for pack in packs])
    counts = np.array([[pack.count(i) for i in range(len(sizes))] for pack in packs])
    return chance @ counts / chance.sum()


@given(case=classes(), capacity=st.integers(1, 8))
@quick
def test_series_are_the_weights_of_all_full_packs(case, capacity):
    sizes, weights = case
    series = fill_series(sizes, weights, capacity, powers=2)
    for atoms in range(capacity + 1):
        packs = full_packs(sizes, atoms)
        chances = [prod(weights[i] for i in pack) for pack in packs]
        np.testing.assert_allclose(series[0, atoms], sum(chances), rtol=1e-12)
        # The square splits every sequence in two, at any of its places.
        twice = sum(chance * (len(pack) + 1) for chance, pack in zip(chances, packs))
        np.testing.assert_allclose(series[1, atoms], twice, rtol=1e-12)


@given(
    case=classes(),
    capacity=st.integers(2, 9),
    times=st.lists(st.integers(1, 9), min_size=1, max_size=5),
)
@quick
def test_a_law_has_the_means_it_was_asked_for(case, capacity, times):
    sizes, _ = case
    packs = full_packs(sizes, capacity)
    assume(packs)
    # Some of every full pack there is: means that a law can have.
    times = np.resize(times, len(packs))
    counts = times @ np.array([[pack.count(i) for i in range(sizes.size)] for pack in packs])
    sizes, counts = sizes[counts > 0], counts[counts > 0]
    law = fit_fill_law(sizes, counts, capacity, int(times.sum()))
    assert law.error < 1e-6
    found = expected_counts(sizes, law.weights, capacity)
    np.testing.assert_allclose(found, counts / times.sum(), atol=1e-6)


def test_the_law_has_more_entropy_than_others_of_the_same_means():
    # Packs of 4 from sizes 1, 2, 3: the law gives each sequence the product of its weights, so
    # the logarithm of its chance is a sum over classes and nothing else tells sequences apart.
    sizes = np.array([1, 2, 3])
    law = fit_fill_law(sizes, np.array([150, 65, 40]), 4, 100)
    assert law.error < 1e-6
    packs = full_packs(sizes, 4)
    chance = np.array([prod(law.weights[i] for i in pack) for pack in packs])
    chance /= chance.sum()
    counts = np.array([[pack.count(i) for i in range(3)] for pack in packs], dtype=float)
    entropy = -(chance * np.log(chance)).sum()
    # Any direction that keeps the means and the total lowers it.
    _, _, rows = np.linalg.svd(np.column_stack([counts, np.ones(len(packs))]).T)
    kept = rows[4 - 1 :] if np.linalg.matrix_rank(counts) == 3 else rows[3:]
    assert len(kept)
    for direction in kept:
        for sign in (1e-3, -1e-3):
            other = chance + sign * direction
            if np.abs(counts.T @ direction).max() < 1e-9 and abs(direction.sum()) < 1e-9:
                assert -(other * np.log(other)).sum() < entropy


def test_means_that_no_full_packs_have_leave_an_error():
    # Packs of 3 from sizes 2 and 1 hold at least as many ones as twos.
    law = fit_fill_law(np.array([1, 2]), np.array([1, 100]), 3, 67)
    assert law.error > 0.1
    assert np.isfinite(law.weights).all()


@given(case=classes())
@quick
def test_same_law_without_numba(case):
    sizes, _ = case
    counts = np.arange(1, sizes.size + 1)
    with_numba = fit_fill_law(sizes, counts, 13, 3)
    with pytest.MonkeyPatch.context() as patch:
        without_numba(patch)
        plain = fit_fill_law(sizes, counts, 13, 3)
    np.testing.assert_array_equal(plain.weights, with_numba.weights)
