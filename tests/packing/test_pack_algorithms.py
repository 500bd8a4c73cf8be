"""Each fast algorithm against the plain statement of its rule."""

from __future__ import annotations

import numpy as np
import pytest
from every_packer import instances, quick
from hypothesis import given

from gnnpack.packing import (
    PackShape,
    best_fit_decreasing,
    first_fit_decreasing,
    lpfhp,
    next_fit,
    spfhp,
)
from gnnpack.packing.compiled import compiled
from gnnpack.packing.next_fit import close_when_full, jump_to_next_pack
from gnnpack.packing.ordering import stable_order
from gnnpack.packing.patterns import Pattern, assign


def plain_first_fit_decreasing(num_atoms, capacity, max_molecules):
    held = []
    for size in sorted(num_atoms.tolist(), reverse=True):
        for pack in held:
            if sum(pack) + size <= capacity and len(pack) < max_molecules:
                pack.append(size)
                break
        else:
            held.append([size])
    return held


@given(instance=instances())
@quick
def test_first_fit_decreasing_is_first_fit_decreasing(instance):
    num_atoms, _, shape = instance
    plan = first_fit_decreasing(num_atoms, PackShape(shape.num_atoms, None, shape.num_molecules))
    sizes = np.split(num_atoms[plan.molecules], plan.offsets[1:-1])
    expected = plain_first_fit_decreasing(
        num_atoms, shape.num_atoms, shape.num_molecules or num_atoms.size
    )
    assert [part.tolist() for part in sizes] == expected


def plain_best_fit_decreasing(num_atoms, capacity, max_molecules):
    held = []
    for size in sorted(num_atoms.tolist(), reverse=True):
        fits = [p for p in held if sum(p) + size <= capacity and len(p) < max_molecules]
        if fits:
            max(fits, key=sum).append(size)
        else:
            held.append([size])
    return held


@given(instance=instances())
@quick
def test_best_fit_decreasing_is_best_fit_decreasing(instance):
    num_atoms, _, shape = instance
    plan = best_fit_decreasing(num_atoms, PackShape(shape.num_atoms, None, shape.num_molecules))
    sizes = np.split(num_atoms[plan.molecules], plan.offsets[1:-1])
    expected = plain_best_fit_decreasing(
        num_atoms, shape.num_atoms, shape.num_molecules or num_atoms.size
    )
    assert [part.tolist() for part in sizes] == expected


def plain_spfhp(num_atoms, capacity):
    held = []
    sizes, counts = np.unique(num_atoms, return_counts=True)
    for size, count in zip(sizes[::-1].tolist(), counts[::-1].tolist()):
        for molecule in range(count):
            fits = [pack for pack in held if sum(pack) + size <= capacity]
            if not fits:
                held += [[size] for _ in range(molecule, count)]
                break
            min(fits, key=sum).append(size)
    return held


@given(instance=instances())
@quick
def test_spfhp_is_shortest_pack_first(instance):
    num_atoms, _, shape = instance
    plan = spfhp(num_atoms, PackShape(shape.num_atoms))
    expected = plain_spfhp(num_atoms, shape.num_atoms)
    # Packs of equal room may be taken in any order: sums do not depend on it.
    assert sorted(plan.atoms_per_pack.tolist()) == sorted(map(sum, expected))


def test_spfhp_keeps_to_the_molecules_of_a_pack():
    plan = spfhp([5, 4, 2, 1, 1, 1], PackShape(9, None, 2))
    assert sizes_by_pack(plan) == [[1], [1], [2, 1], [5, 4]]


def sizes_by_pack(plan):
    parts = np.split(plan.num_atoms[plan.molecules], plan.offsets[1:-1])
    return sorted(part.tolist() for part in parts)


def test_lpfhp_takes_the_fullest_pack_that_fits_first_fit_the_first():
    # 12 and 10 open packs; 9 fits the second alone; then 1 fits both.
    assert sizes_by_pack(lpfhp([12, 10, 9, 1], PackShape(20))) == [[10, 9, 1], [12]]
    assert sizes_by_pack(first_fit_decreasing([12, 10, 9, 1], PackShape(20))) == [[10, 9], [12, 1]]


def test_lpfhp_keeps_to_the_molecules_of_a_pack():
    plan = lpfhp([3, 3, 2, 2, 1, 1], PackShape(9, None, 2))
    assert sizes_by_pack(plan) == [[1, 1], [2, 2], [3, 3]]


@given(instance=instances())
@quick
def test_next_fit_compiled_equals_numpy_equals_the_rule(instance):
    num_atoms, num_pairs, shape = instance
    columns = np.stack([num_atoms.astype(np.int64), num_pairs.astype(np.int64)])
    capacities = np.array([shape.num_atoms, shape.num_pairs or 10**6], dtype=np.int64)
    arguments = (columns, capacities, shape.num_molecules or num_atoms.size)
    expected = close_when_full(*arguments)
    np.testing.assert_array_equal(jump_to_next_pack(*arguments), expected)
    kernel = compiled(close_when_full)
    assert kernel is not None
    np.testing.assert_array_equal(kernel(*arguments), expected)


@given(instance=instances())
@quick
def test_next_fit_closes_a_pack_only_when_the_next_molecule_does_not_fit(instance):
    num_atoms, num_pairs, shape = instance
    plan = next_fit(num_atoms, shape, num_pairs=num_pairs)
    assert plan.molecules.tolist() == list(range(num_atoms.size))
    for pack, first_of_next in enumerate(plan.offsets[1:-1].tolist()):
        over_atoms = plan.atoms_per_pack[pack] + int(num_atoms[first_of_next]) > shape.num_atoms
        over_pairs = shape.num_pairs is not None and (
            plan.pairs_per_pack[pack] + int(num_pairs[first_of_next]) > shape.num_pairs
        )
        full = plan.molecules_per_pack[pack] == shape.num_molecules
        assert over_atoms or over_pairs or full


def test_next_fit_without_numba(monkeypatch):
    num_atoms = np.random.default_rng(0).integers(1, 20, 300)
    with_numba = next_fit(num_atoms, PackShape(30))
    monkeypatch.setitem(next_fit.__globals__, "compiled", lambda kernel: None)
    np.testing.assert_array_equal(next_fit(num_atoms, PackShape(30)).offsets, with_numba.offsets)


def test_next_fit_shuffles_by_seed():
    num_atoms = np.arange(1, 50)
    given_order = next_fit(num_atoms, PackShape(60), seed=1)
    shuffled = next_fit(num_atoms, PackShape(60), seed=1, shuffle=True)
    other = next_fit(num_atoms, PackShape(60), seed=2, shuffle=True)
    assert given_order.molecules.tolist() == list(range(49))
    assert shuffled.molecules.tolist() != other.molecules.tolist()
    assert shuffled.options == {"shuffle": True}


def test_assign_refuses_patterns_that_miss_or_repeat_molecules():
    from gnnpack.packing.checks import check_sizes

    checked = check_sizes([2, 2, 3], PackShape(5), packer="lpfhp", knows_pairs=False)
    with pytest.raises(AssertionError, match="leave molecules out"):
        assign([Pattern(1, (3, 2))], checked)
    with pytest.raises(AssertionError, match="more molecules than there are"):
        assign([Pattern(2, (3, 2))], checked)
    with pytest.raises(AssertionError, match="too many molecules of size 3"):
        assign([Pattern(1, (3, 2)), Pattern(1, (3,))], checked)


@pytest.mark.parametrize("largest", [9, 257, 2**16 - 1, 2**16, 2**20 + 1, 2**40])
def test_sizes_of_any_width(largest):
    num_atoms = np.array([largest, 3, largest - 1, 3, largest])
    assert stable_order(num_atoms).tolist() == [1, 3, 2, 0, 4]
    plan = lpfhp(num_atoms, PackShape(largest + 3))
    plan.validate()
    plan.epoch(0, 0).validate()
