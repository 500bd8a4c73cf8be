"""The shape advisor: rows that hold, a recommendation that keeps its rule, sentences."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import size_tables
from every_packer import quick
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import batch_of, make_source

from gnnpack.batching.loader import packs_per_update
from gnnpack.packing import (
    PackShape,
    advise,
    auto_shape,
    lpfhp,
    next_fit,
    one_per_pack,
    optimal,
)
from gnnpack.packing.advice import (
    HISTOGRAM_PACKERS,
    LEAST_PACKS_PER_UPDATE,
    TOLERANCE,
    pack_bytes,
)
from gnnpack.packing.advice_sizes import MOST_SIZES, candidate_sizes
from gnnpack.packing.advice_words import percent, sentences

# Each example packs up to 200 times.
few = settings(quick, max_examples=25)
HYDRONET = {
    "500k": size_tables.HYDRONET_500K,
    "2.7m": size_tables.HYDRONET_2_7M,
    "4.5m": size_tables.HYDRONET_4_5M,
}


@st.composite
def histograms(draw):
    """(sizes, counts), ascending, sometimes with a common divisor."""
    unit = draw(st.sampled_from([1, 1, 2, 3]))
    table = draw(st.dictionaries(st.integers(1, 20), st.integers(1, 300), min_size=1, max_size=8))
    sizes = sorted(table)
    return np.array(sizes) * unit, np.array([table[size] for size in sizes])


@pytest.fixture(scope="module")
def qm9():
    sizes, counts = size_tables.histogram(size_tables.QM9)
    return advise(sizes, counts, candidates=[*candidate_sizes(sizes, counts), 36])


@pytest.fixture(scope="module", params=HYDRONET)
def hydronet(request):
    """(name, histogram)."""
    return request.param, size_tables.histogram(HYDRONET[request.param], atoms_each=3)


def row_of(advice, num_atoms):
    return next(row for row in advice.rows if row.num_atoms == num_atoms)


@few
@given(histograms(), st.sampled_from(list(HISTOGRAM_PACKERS)), st.integers(1, 300))
def test_rows_hold(histogram, packer, batch_size):
    sizes, counts = histogram
    advice = advise(sizes, counts, packer=packer, batch_size=batch_size)
    molecules = np.repeat(sizes, counts)
    assert (advice.num_molecules, advice.total_atoms) == (molecules.size, molecules.sum())
    for row in advice.rows[:: max(1, len(advice.rows) // 5)]:
        plan = packer(molecules, PackShape(row.num_atoms))
        assert row.packs == plan.num_packs
        assert row.max_molecules == plan.molecules_per_pack.max()
        assert row.atom_efficiency == pytest.approx(plan.atom_efficiency)
        assert plan.lower_bound <= row.lower_bound <= row.packs
        assert row.proven_optimal == (row.packs == row.lower_bound)
        assert row.atom_efficiency <= row.possible_efficiency <= 1
        assert row.packs_per_update == packs_per_update(
            batch_size, num_packs=row.packs, num_molecules=molecules.size
        )


@few
@given(histograms(), st.sampled_from(list(HISTOGRAM_PACKERS)), st.integers(1, 300))
def test_the_recommended_size_keeps_the_rule(histogram, packer, batch_size):
    advice = advise(*histogram, packer=packer, batch_size=batch_size)
    best = advice.recommended
    assert best in advice.rows
    assert best.num_atoms % advice.divisor == 0

    def slots(row):
        # A last pack that must stay part empty counts in part.
        fewest = math.ceil(advice.total_atoms / row.num_atoms)
        return advice.total_atoms if row.packs == fewest else row.packs * row.num_atoms

    def allowed(row):
        updates = row.packs_per_update >= LEAST_PACKS_PER_UPDATE
        return row.num_atoms <= 2 * advice.largest or updates

    assert allowed(best)
    rivals = [row for row in advice.rows if allowed(row)]
    least = min(slots(row) for row in rivals)
    good = [row.num_atoms for row in rivals if slots(row) <= least * (1 + TOLERANCE) + 1e-9]
    assert best.num_atoms == good[0]


@quick
@given(histograms())
def test_candidates_are_few_ascending_and_fillable(histogram):
    sizes, counts = histogram
    found = candidate_sizes(sizes, counts)
    assert found[0] == sizes[-1]
    assert len(found) <= MOST_SIZES
    assert (np.diff(found) > 0).all()
    assert not (np.array(found) % np.gcd.reduce(sizes)).any()
    assert found[-1] <= sizes @ counts


def test_many_or_large_sizes_are_compared_further_apart():
    large = candidate_sizes([100, 2000], [10**6, 10**6])
    assert len(large) <= MOST_SIZES
    assert large[-1] >= 3 * 2000
    many = candidate_sizes(np.arange(1, 501), np.full(500, 1000))
    assert 25 <= len(many) < 50
    assert many[-1] >= 3 * 500


@pytest.mark.parametrize("packer, expected", [(optimal, 54), (lpfhp, 36), (one_per_pack, 29)])
def test_qm9(packer, expected):
    num_atoms = size_tables.molecules(size_tables.QM9)
    assert auto_shape(packer, num_atoms) == PackShape(expected)
    assert auto_shape(partial(packer), num_atoms) == PackShape(expected)


def test_hydronet(hydronet):
    name, (sizes, counts) = hydronet
    best = advise(sizes, counts).recommended
    assert best.num_atoms == {"500k": 195, "2.7m": 195, "4.5m": 213}[name]
    assert best.proven_optimal


def test_a_packer_of_molecules_gets_the_size_of_optimal():
    num_atoms = size_tables.molecules(size_tables.QM9)
    assert auto_shape(next_fit, num_atoms) == auto_shape(optimal, num_atoms)


def test_small_updates_keep_packs_small(hydronet):
    # 16 molecules an update are fewer than 8 packs of 195 or more atoms.
    _, (sizes, counts) = hydronet
    advice = advise(sizes, counts, batch_size=16)
    assert advice.recommended.num_atoms <= 2 * advice.largest


def test_measured_seconds_take_the_place_of_slots():
    sizes, counts = size_tables.histogram(size_tables.QM9)
    asked = []

    def seconds(num_atoms, num_molecules):
        asked.append((num_atoms, num_molecules))
        # A device that takes as long for 72 atoms as for fewer.
        return 1e-3 * max(num_atoms, 72)

    advice = advise(sizes, counts, cost=seconds, cost_name="measured seconds")
    assert advice.recommended.num_atoms == 72
    assert asked == [(row.num_atoms, row.max_molecules + 1) for row in advice.rows]
    assert row_of(advice, 60).cost == pytest.approx(0.072 * row_of(advice, 60).packs)
    assert "measured seconds" in " ".join(sentences(advice))


def test_bytes_are_those_of_a_batch():
    batch = batch_of(make_source(), num_atoms=24)
    packs, num_atoms = batch.z.shape
    held = sum(tensor.element_size() * tensor.nelement() for tensor in batch)
    assert held == packs * pack_bytes(num_atoms, batch.target.shape[1])


def test_it_says_what_cannot_be_improved(qm9):
    said = sentences(qm9, [36, 54, 72])
    assert "54 atoms, 43,691 packs, 99.996 % filled; no packer can use fewer." in said[0]
    assert "36 atoms: 98.646 % is the best possible; 54 gives 99.996 %." in said
    assert any(line.startswith("72 atoms: 99.999 % is the best possible; 54 does") for line in said)
    assert not any("multiple of" in line for line in said)


def test_it_tells_a_packer_from_the_best_possible():
    advice = advise(*size_tables.histogram(size_tables.QM9), packer=lpfhp)
    said = sentences(advice, [54])
    assert any("54 atoms: lpfhp fills 94.062 %, no packer more than 99.996 %" in s for s in said)
    assert any("see packer=optimal" in line for line in said)


def test_it_warns_of_sizes_that_no_molecules_fill(hydronet):
    _, (sizes, counts) = hydronet
    advice = advise(sizes, counts, candidates=[*candidate_sizes(sizes, counts), 154])
    said = " ".join(sentences(advice, [154]))
    assert row_of(advice, 154).unusable_atoms == 1
    assert "wastes 1 slot in every pack (0.649 %): 153 holds as many molecules" in said
    assert "Every molecule has a multiple of 3 atoms" in said
    assert "as 128 does 2 slots in every pack" in said


def test_a_divisor_that_is_a_power_of_two_has_an_example_too():
    advice = advise([4, 8], [10, 10])
    assert "as 9 does 1 slot in every pack" in sentences(advice)[-1]


def test_a_size_alone_that_cannot_be_filled_is_still_answered():
    assert advise([3, 6], [10, 10], candidates=[8]).recommended.num_atoms == 8


@pytest.mark.parametrize("share", [0.5, 0.98646, 0.999996, 0.9999999, 1 - 1e-12])
def test_a_part_is_never_called_full(share):
    assert float(percent(share).split()[0]) < 100
    assert float(percent(share).split()[0]) == pytest.approx(100 * share, abs=1e-3)


@pytest.mark.parametrize(
    "sizes, counts, options, message",
    [
        ([3, 5], [1, 1], {"candidates": [4]}, "pack of 4 atoms does not hold.* has 5"),
        ([3, 5], [1, 1], {"candidates": [5.5]}, r"pack sizes are \[5\.5\]"),
        ([3, 5], [1, 1], {"batch_size": 0}, "batch_size is 0"),
        ([3, 5], [1, 1], {"packer": next_fit}, "next_fit packs molecule by molecule.*optimal"),
        ([3, 5], [1, 1], {"cost": lambda *_: math.nan}, r"cost\(5, 2\) is nan"),
        ([3, 5], [1, 1], {"cost": lambda *_: 0}, r"cost\(5, 2\) is 0"),
        ([5, 3], [1, 1], {}, r"sizes\[1\] = 3 follows 5"),
        ([3, 3], [1, 1], {}, r"sizes\[1\] = 3 follows 3"),
        ([3], [1, 1], {}, "1 sizes and 2 counts"),
        ([0, 3], [1, 1], {}, r"sizes\[0\] = 0"),
        ([3, 5], [1, 0], {}, r"counts\[1\] = 0"),
        ([], [], {}, "sizes is float64 of shape"),
        ([3, 5], [1.0, 2.0], {}, "counts is float64"),
        ([2**40], [2**30], {}, "beyond 2"),
    ],
)
def test_bad_input_is_refused(sizes, counts, options, message):
    with pytest.raises(ValueError, match=message):
        advise(sizes, counts, **options)


def test_bad_sizes_of_molecules_are_refused():
    with pytest.raises(ValueError, match="num_atoms is empty"):
        auto_shape(optimal, [])
