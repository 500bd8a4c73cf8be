"""The size that `shape.num_atoms=null` stands for."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import size_tables
from every_packer import PACKERS

from gnnpack.packing import (
    PackShape,
    first_fit_decreasing,
    lpfhp,
    next_fit,
    one_per_pack,
    packer_name,
    resolve_num_atoms,
)


@pytest.fixture(scope="module")
def qm9():
    return size_tables.molecules(size_tables.QM9)


@pytest.mark.parametrize("packer", [lpfhp, first_fit_decreasing, partial(lpfhp, seed=3)])
def test_qm9_is_36(packer, qm9):
    assert resolve_num_atoms(packer, qm9, PackShape(None)) == PackShape(36)


def test_one_per_pack_is_the_largest_molecule(qm9):
    assert resolve_num_atoms(one_per_pack, qm9, PackShape(None)) == PackShape(29)
    assert resolve_num_atoms(partial(one_per_pack), qm9, PackShape(None)) == PackShape(29)


@pytest.mark.parametrize(
    "packer", [packer for packer in PACKERS if packer is not one_per_pack], ids=packer_name
)
def test_no_size_up_to_twice_the_largest_is_filled_better(packer, qm9):
    sample = qm9[:3000]
    largest = int(sample.max())
    fill = {
        n: packer(sample, PackShape(n)).atom_efficiency for n in range(largest, 2 * largest + 1)
    }
    best = max(fill.values())
    expected = min(n for n in fill if fill[n] == best)
    assert resolve_num_atoms(packer, sample, PackShape(None)).num_atoms == expected


def test_smaller_of_equals():
    # 4 and 8 both fill every slot.
    assert resolve_num_atoms(lpfhp, [4] * 6, PackShape(None)) == PackShape(4)


def test_given_size_and_other_limits_stay(qm9):
    assert resolve_num_atoms(lpfhp, qm9, PackShape(50)) == PackShape(50)
    limited = resolve_num_atoms(lpfhp, qm9, PackShape(None, None, 1))
    assert limited == PackShape(29, None, 1)


def test_pairs_reach_the_packer():
    shape = PackShape(None, 9)
    # Two molecules would fit by atoms, none by pairs: the smallest size wastes least.
    assert resolve_num_atoms(next_fit, [3, 2], shape, num_pairs=[5, 5]).num_atoms == 3
    with pytest.raises(ValueError, match="fills packs by atoms alone"):
        resolve_num_atoms(lpfhp, [3, 2], shape, num_pairs=[5, 5])


def test_large_molecules_try_a_bounded_number_of_sizes():
    calls = []

    def counting(num_atoms, shape, **own):
        calls.append(shape.num_atoms)
        return next_fit(num_atoms, shape, **own)

    num_atoms = np.array([5000, 70])
    shape = resolve_num_atoms(counting, num_atoms, PackShape(None))
    assert len(calls) <= 512
    assert shape.num_atoms == calls[np.argmin([n * (2 if n < 5070 else 1) for n in calls])]


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="num_atoms is empty"):
        resolve_num_atoms(lpfhp, [], PackShape(None))


def test_packer_name():
    assert packer_name(partial(partial(next_fit, shuffle=True), seed=1)) == "next_fit"
