"""The law of packs with two limits, against all sequences written out."""

from __future__ import annotations

from collections import Counter
from math import comb, prod

import numpy as np
import pytest
from every_packer import quick, without_numba
from hypothesis import given
from hypothesis import strategies as st

from gnnpack.packing.pair_draw import draw_pair_packs
from gnnpack.packing.pair_law import fit_pack_law
from gnnpack.packing.pair_series import ways_to_go_on
from gnnpack.packing.pair_units import Room, UnitClasses

KEYS = st.integers(0, 2**64 - 1)


@st.composite
def problems(draw):
    """UnitClasses with few classes and little room, each of which fits."""
    room = Room(draw(st.integers(3, 7)), draw(st.integers(1, 5)), draw(st.sampled_from([None, 3])))
    kinds = st.tuples(st.integers(1, 3), st.integers(0, min(3, room.pairs)))
    chosen = sorted(draw(st.lists(kinds, min_size=1, max_size=4, unique=True)))
    counts = draw(st.lists(st.integers(1, 60), min_size=len(chosen), max_size=len(chosen)))
    atoms, units = np.array(chosen, dtype=np.int64).T
    return UnitClasses(atoms.copy(), units.copy(), np.array(counts), room)


def sequences(classes):
    """All sequences of classes that fit the room, the empty one included."""
    found, open_ones = [], [()]
    while open_ones:
        sequence = open_ones.pop()
        a, p = classes.atoms[list(sequence)].sum(), classes.units[list(sequence)].sum()
        most = classes.room.molecules
        if a > classes.room.atoms or p > classes.room.pairs:
            continue
        if most is not None and len(sequence) > most:
            continue
        found.append(sequence)
        open_ones += [(*sequence, i) for i in range(classes.atoms.size)]
    return found


def weight_of(sequence, classes, weights, end):
    a = classes.room.atoms - classes.atoms[list(sequence)].sum()
    p = classes.room.pairs - classes.units[list(sequence)].sum()
    return prod(weights[i] for i in sequence) * end[a, p]


def levels(classes):
    return 1 if classes.room.molecules is None else classes.room.molecules + 1


def packs_needed(classes):
    """Enough packs for all atoms, units and molecules, and some more."""
    atoms, units = classes.atoms @ classes.counts, classes.units @ classes.counts
    molecules = classes.room.molecules or classes.room.atoms
    loads = atoms / classes.room.atoms, units / classes.room.pairs
    return int(1.5 * max(*loads, classes.counts.sum() / molecules)) + 2


@given(classes=problems(), seed=st.integers(0, 99))
@quick
def test_series_sum_all_sequences(classes, seed):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.1, 1.0, classes.atoms.size)
    end = rng.uniform(0.0, 1.0, (classes.room.atoms + 1, classes.room.pairs + 1))
    ways = ways_to_go_on(classes.atoms, classes.units, weights, end, levels(classes), powers=3)
    for power in range(3):
        expected = sum(
            comb(len(sequence) + power, power) * weight_of(sequence, classes, weights, end)
            for sequence in sequences(classes)
        )
        np.testing.assert_allclose(ways[power, -1, -1, -1], expected, rtol=1e-12)


@given(classes=problems(), seed=st.integers(0, 99))
@quick
def test_series_have_the_same_bits_without_numba(classes, seed):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.1, 1.0, classes.atoms.size)
    end = rng.uniform(0.0, 1.0, (classes.room.atoms + 1, classes.room.pairs + 1))
    given_to = (classes.atoms, classes.units, weights, end, levels(classes), 3)
    compiled = ways_to_go_on(*given_to)
    with pytest.MonkeyPatch.context() as patch:
        without_numba(patch)
        np.testing.assert_array_equal(ways_to_go_on(*given_to), compiled)


@given(classes=problems())
@quick
def test_expected_molecules_are_those_that_are_there(classes):
    packs = packs_needed(classes)
    law = fit_pack_law(classes, packs)
    chances = {s: weight_of(s, classes, law.weights, law.end) for s in sequences(classes)}
    total = sum(chances.values())
    expected = np.zeros(classes.atoms.size)
    for sequence, chance in chances.items():
        np.add.at(expected, list(sequence), packs * chance / total)
    np.testing.assert_allclose(np.abs(expected - classes.counts).sum(), law.error, atol=1e-6)
    # Half as many packs again as are needed leave room for any mean but on the border.
    assert law.error < 0.1 * classes.counts.sum() + 0.05


def test_a_rare_class_does_not_hold_up_the_fit():
    counts = np.array([1, 200_000, 200_000, 3])
    atoms, units = np.array([1, 5, 6, 9]), np.array([12, 3, 3, 12])
    classes = UnitClasses(atoms, units, counts, Room(22, 12, None))
    assert fit_pack_law(classes, 101_000).error < 0.05


def test_no_pack_has_these_means():
    classes = UnitClasses(np.array([2]), np.array([1]), np.array([100]), Room(3, 4, None))
    law = fit_pack_law(classes, 70)
    assert law.error > 10
    drawn = draw_pair_packs(classes, law, 60, 10**6, key=1)
    assert np.diff(drawn.offsets).tolist() == [1] * 60


@given(classes=problems(), most=st.integers(1, 9), key=KEYS)
@quick
def test_packs_fit_and_use_only_what_is_there(classes, most, key):
    law = fit_pack_law(classes, packs_needed(classes))
    drawn = draw_pair_packs(classes, law, law.packs, most, key)
    used = np.bincount(drawn.classes, minlength=classes.atoms.size)
    assert (used <= classes.counts).all()
    assert drawn.offsets[-1] == drawn.classes.size
    possible = {s for s in sequences(classes) if 0 < len(s) <= most}
    parts = np.split(drawn.classes, drawn.offsets[1:-1]) if drawn.offsets.size > 1 else []
    assert all(tuple(part.tolist()) in possible for part in parts)


@given(classes=problems(), most=st.integers(1, 9), key=KEYS)
@quick
def test_same_packs_without_numba(classes, most, key):
    law = fit_pack_law(classes, packs_needed(classes))
    compiled = draw_pair_packs(classes, law, law.packs, most, key)
    with pytest.MonkeyPatch.context() as patch:
        without_numba(patch)
        plain = draw_pair_packs(classes, law, law.packs, most, key)
    for one, other in zip(compiled, plain):
        np.testing.assert_array_equal(one, other)


def test_packs_come_as_often_as_the_law_says():
    counts = np.array([300_000, 200_000, 100_000])
    classes = UnitClasses(np.array([2, 3, 3]), np.array([1, 1, 2]), counts, Room(7, 4, None))
    law = fit_pack_law(classes, 250_000)
    assert law.error < 0.05
    num_packs = 10_000
    drawn = draw_pair_packs(classes, law, num_packs, 10**6, key=3)
    found = Counter(tuple(p.tolist()) for p in np.split(drawn.classes, drawn.offsets[1:-1]))
    chances = {s: weight_of(s, classes, law.weights, law.end) for s in sequences(classes) if s}
    total = sum(chances.values())
    for sequence, chance in chances.items():
        share = chance / total
        deviation = np.sqrt(num_packs * share * (1 - share))
        assert abs(found[sequence] - num_packs * share) < 5 * deviation + 1, sequence
