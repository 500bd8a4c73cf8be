"""Packs for a limit on molecules that binds."""

from __future__ import annotations

import numpy as np
from every_packer import quick
from hypothesis import given
from hypothesis import strategies as st

from gnnpack.packing import PackShape, lpfhp, optimal
from gnnpack.packing.even_packs import even_packs
from gnnpack.packing.patterns import num_packs


@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=40),
    spare=st.integers(0, 100),
    most=st.integers(1, 8),
    least=st.integers(1, 9),
)
@quick
def test_every_molecule_in_a_pack_of_the_shape(sizes, spare, most, least):
    shape = PackShape(max(sizes) + spare, None, most)
    distinct, counts = np.unique(sizes, return_counts=True)
    found = even_packs(distinct, counts, shape, least, len(sizes) + 1)
    if least > len(sizes):
        assert found is None
        return
    # One molecule a pack is among what is tried, and always fits.
    held = [size for pattern in found for size in pattern.sizes * pattern.packs]
    assert sorted(held) == sorted(sizes)
    assert all(sum(pattern.sizes) <= shape.num_atoms for pattern in found)
    assert all(0 < len(pattern.sizes) <= most for pattern in found)
    assert least <= num_packs(found) <= len(sizes)


def test_hundreds_of_sizes_under_a_limit_on_molecules():
    num_atoms = np.random.default_rng(0).integers(1, 400, 20_000)
    plan = optimal(num_atoms, PackShape(2048, None, 9))
    assert plan.num_packs == plan.lower_bound == -(-20_000 // 9)
    assert lpfhp(num_atoms, PackShape(2048, None, 9)).num_packs > 1.1 * plan.num_packs


def test_packs_are_even():
    # In any other order than to the fewest atoms first, 40 and 20 meet in a pack of 50.
    sizes, counts = np.array([10, 20, 30, 40]), np.full(4, 5)
    found = even_packs(sizes, counts, PackShape(50, None, 2), 10, 20)
    assert sorted(found) == [(5, (30, 20)), (5, (40, 10))]
