"""Tuple packing against its published algorithm, in dictionaries and lists."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from every_packer import instances, packs, quick, without_numba
from hypothesis import given

from gnnpack.packing import PackShape, tuple_packing


def tuple_packing_by_hand(num_atoms, num_pairs, shape):
    """Packs as (atoms, pairs) tuples, with how often each occurs; arXiv 2209.06354.

    Open packs are kept by the product of their room; each histogram bin, of largest product
    first, goes to the first fitting entry of the smallest such key.
    """
    limited = shape.num_pairs is not None
    most_pairs = shape.num_pairs if limited else 10**9
    pairs_seen = num_pairs.tolist() if limited else [0] * len(num_pairs)
    histogram = Counter(zip(num_atoms.tolist(), pairs_seen))
    waiting = defaultdict(list)
    closed = []

    def product(atoms, pairs):
        return atoms * pairs if limited else atoms

    def room(pack):
        return shape.num_atoms - sum(a for a, _ in pack), most_pairs - sum(p for _, p in pack)

    def put(pack, count):
        key = product(*room(pack))
        if key == 0 or len(pack) == shape.num_molecules:
            closed.append((pack, count))
        else:
            waiting[key].append((pack, count))

    for atoms, pairs in sorted(histogram, key=lambda bin: (product(*bin), *bin), reverse=True):
        left = histogram[atoms, pairs]
        while left:
            fitting = [
                (key, place)
                for key in sorted(waiting)
                for place, (pack, _) in enumerate(waiting[key])
                if atoms <= room(pack)[0] and pairs <= room(pack)[1]
            ]
            if not fitting:
                put([(atoms, pairs)], left)
                break
            key, place = fitting[0]
            pack, count = waiting[key].pop(place)
            taken = min(count, left)
            if count > taken:
                waiting[key].append((pack, count - taken))
            put([*pack, (atoms, pairs)], taken)
            left -= taken
    return closed + [entry for entries in waiting.values() for entry in entries]


def contents(plan):
    """How often each pack of (atoms, pairs) occurs; pairs are 0 without a limit on them."""
    limited = plan.shape.num_pairs is not None
    return Counter(
        tuple(
            sorted((int(plan.num_atoms[i]), int(plan.num_pairs[i]) if limited else 0) for i in pack)
        )
        for pack in packs(plan)
    )


@given(instance=instances())
@quick
def test_packs_are_those_of_the_published_algorithm(instance):
    num_atoms, num_pairs, shape = instance
    plan = tuple_packing(num_atoms, shape, num_pairs=num_pairs)
    expected = Counter()
    for pack, count in tuple_packing_by_hand(num_atoms, num_pairs, shape):
        expected[tuple(sorted(pack))] += count
    assert contents(plan) == expected


@given(instance=instances())
@quick
def test_same_plan_without_numba(instance):
    num_atoms, num_pairs, shape = instance
    compiled = tuple_packing(num_atoms, shape, num_pairs=num_pairs)
    with pytest.MonkeyPatch.context() as patch:
        without_numba(patch)
        plain = tuple_packing(num_atoms, shape, num_pairs=num_pairs)
    assert packs(plain) == packs(compiled)


def test_least_room_is_the_smallest_product():
    # The first two leave 6 x 10 and 4 x 30: the last fits both and takes the smaller product.
    plan = tuple_packing([14, 16, 2], PackShape(20, 100), num_pairs=[90, 70, 9])
    assert packs(plan) == [(1,), (0, 2)]


def test_molecules_that_fit_nowhere_open_a_pack_each():
    plan = tuple_packing([4, 4, 4, 4], PackShape(9))
    assert plan.num_packs == 4


def test_products_beyond_64_bits():
    num_atoms = np.full(6, 2**40)
    plan = tuple_packing(num_atoms, PackShape(2**42, 2**42), num_pairs=num_atoms + 1)
    plan.validate()
    assert plan.num_packs == 6


def test_thousands_of_types():
    rng = np.random.default_rng(0)
    num_atoms = rng.integers(20, 226, 5_000)
    num_pairs = num_atoms * rng.integers(10, 40, 5_000)
    plan = tuple_packing(num_atoms, PackShape(512, 13_000), num_pairs=num_pairs)
    plan.validate()
    assert plan.num_packs <= 1.1 * plan.lower_bound
