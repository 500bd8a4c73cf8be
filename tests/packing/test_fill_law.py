"""The law of full packs, against all of them written out."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np
import pytest
from every_packer import quick, without_numba
from hypothesis import assume, given
from hypothesis import strategies as st

from gnnpack.packing.fill_law import Budget, fill_series, fit_fill_law


@st.composite
def classes(draw, most=4):
    """(atoms, pairs, weights) of distinct classes, none of them empty."""
    kinds = st.tuples(st.integers(0, 4), st.integers(0, 3)).filter(any)
    chosen = draw(st.lists(kinds, min_size=1, max_size=most, unique=True))
    weights = draw(st.lists(st.floats(0.05, 1.0), min_size=len(chosen), max_size=len(chosen)))
    atoms, pairs = np.array(chosen, dtype=np.int64).T
    return atoms.copy(), pairs.copy(), np.array(weights)


def full_packs(atoms, pairs, budget):
    """All sequences of classes with exactly this many atoms and pairs."""
    found, open_ones = [], [()]
    while open_ones:
        sequence = open_ones.pop()
        a, p = sum(atoms[i] for i in sequence), sum(pairs[i] for i in sequence)
        if (a, p) == tuple(budget):
            found.append(sequence)
        elif a <= budget.atoms and p <= budget.pairs:
            open_ones += [(*sequence, i) for i in range(len(atoms))]
    return found


def expected_counts(atoms, pairs, weights, budget):
    """Mean number of each class over all full packs, each as likely as its weights' product."""
    packs = full_packs(atoms, pairs, budget)
    chance = np.array([prod(weights[i] for i in pack) for pack in packs])
    counts = np.array([[pack.count(i) for i in range(len(atoms))] for pack in packs])
    return chance @ counts / chance.sum()


@given(case=classes(), budget=st.builds(Budget, st.integers(1, 6), st.integers(0, 3)))
@quick
def test_series_are_the_weights_of_all_full_packs(case, budget):
    atoms, pairs, weights = case
    series = fill_series(atoms, pairs, weights, budget, powers=2)
    for a, p in product(range(budget.atoms + 1), range(budget.pairs + 1)):
        packs = full_packs(atoms, pairs, Budget(a, p))
        chances = [prod(weights[i] for i in pack) for pack in packs]
        np.testing.assert_allclose(series[0, a, p], sum(chances), rtol=1e-12)
        # The square splits every sequence in two, at any of its places.
        twice = sum(chance * (len(pack) + 1) for chance, pack in zip(chances, packs))
        np.testing.assert_allclose(series[1, a, p], twice, rtol=1e-12)


@given(
    case=classes(),
    budget=st.builds(Budget, st.integers(2, 6), st.integers(0, 3)),
    times=st.lists(st.integers(1, 9), min_size=1, max_size=5),
)
@quick
def test_a_law_has_the_means_it_was_asked_for(case, budget, times):
    atoms, pairs, _ = case
    packs = full_packs(atoms, pairs, budget)
    assume(packs)
    # Some of every full pack there is: means that a law can have.
    times = np.resize(times, len(packs))
    counts = times @ np.array([[pack.count(i) for i in range(atoms.size)] for pack in packs])
    atoms, pairs, counts = atoms[counts > 0], pairs[counts > 0], counts[counts > 0]
    law = fit_fill_law(atoms, pairs, counts, budget, int(times.sum()))
    assert law.error < 1e-6
    found = expected_counts(atoms, pairs, law.weights, budget)
    np.testing.assert_allclose(found, counts / times.sum(), atol=1e-6)


def test_the_law_has_more_entropy_than_others_of_the_same_means():
    # Packs of 4 from sizes 1, 2, 3: the law gives each sequence the product of its weights, so
    # the logarithm of its chance is a sum over classes and nothing else tells sequences apart.
    atoms, none = np.array([1, 2, 3]), np.zeros(3, dtype=np.int64)
    law = fit_fill_law(atoms, none, np.array([150, 60, 40]), Budget(4), 100)
    packs = full_packs(atoms, none, Budget(4, 0))
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


@pytest.mark.parametrize("start", [None, np.array([5.0, 1.0, 1.0])])
def test_the_start_does_not_change_the_law(start):
    atoms, none = np.array([2, 3, 4]), np.zeros(3, dtype=np.int64)
    counts = np.array([300, 100, 25])
    law = fit_fill_law(atoms, none, counts, Budget(10), 100, start=start)
    plain = fit_fill_law(atoms, none, counts, Budget(10), 100)
    found = expected_counts(atoms, none, law.weights, Budget(10, 0))
    np.testing.assert_allclose(
        found, expected_counts(atoms, none, plain.weights, Budget(10, 0)), atol=1e-5
    )
    np.testing.assert_allclose(found, counts / 100, atol=1e-5)


def test_means_that_no_full_packs_have_leave_an_error():
    # Packs of 3 from sizes 2 and 1 hold at least as many ones as twos.
    law = fit_fill_law(
        np.array([1, 2]), np.zeros(2, dtype=np.int64), np.array([1, 100]), Budget(3), 67
    )
    assert law.error > 0.1
    assert np.isfinite(law.weights).all()


@given(case=classes())
@quick
def test_same_law_without_numba(case):
    atoms, pairs, _ = case
    counts = np.arange(1, atoms.size + 1)
    with_numba = fit_fill_law(atoms, pairs, counts, Budget(7, 3), 3)
    with pytest.MonkeyPatch.context() as patch:
        without_numba(patch)
        plain = fit_fill_law(atoms, pairs, counts, Budget(7, 3), 3)
    np.testing.assert_array_equal(plain.weights, with_numba.weights)
