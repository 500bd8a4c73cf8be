"""Every refusal names the value, the place and the cure."""

from __future__ import annotations

import numpy as np
import pytest
from every_packer import ATOM_PACKERS, PACKERS, PAIR_PACKERS

from gnnpack.packing import PackShape, packer_name

every_packer = pytest.mark.parametrize("packer", PACKERS, ids=packer_name)

BAD_NUM_ATOMS = [
    ([], "num_atoms is empty; there is nothing to pack"),
    (np.array([], dtype=np.int64), "num_atoms is empty"),
    ([[3, 4]], r"num_atoms has shape \(1, 2\); it must be 1-D"),
    (np.int64(3), r"num_atoms has shape \(\)"),
    ([3.0, 4.0], "num_atoms has dtype float64; .* pass an integer array"),
    ([True, True], "num_atoms has dtype bool"),
    (["3"], "num_atoms has dtype <U1"),
    ([3, 0, 4], r"num_atoms\[1\] = 0: molecule 1 must have at least 1"),
    ([3, 4, -2], r"num_atoms\[2\] = -2: molecule 2 must have at least 1"),
    ([2**61, 2**61], r"2 molecules of up to 2,305,843,009,213,693,952 may sum beyond 2\*\*62"),
    (np.array([1, 2**63], dtype=np.uint64), r"overflow; num_atoms\[1\] is the largest"),
    (
        [3, 40, 4],
        r"molecule 1 has 40 atoms and does not fit PackShape\(num_atoms=36, .*\); "
        "raise shape.num_atoms to at least 40",
    ),
]


@every_packer
@pytest.mark.parametrize("num_atoms, words", BAD_NUM_ATOMS)
def test_bad_num_atoms(packer, num_atoms, words):
    with pytest.raises(ValueError, match=words):
        packer(num_atoms, PackShape(36))


@every_packer
@pytest.mark.parametrize(
    "num_pairs, words",
    [
        ([1, 2, 3], "num_pairs has 3 entries but num_atoms has 2"),
        ([1.5, 2.0], "num_pairs has dtype float64"),
        ([1, -1], r"num_pairs\[1\] = -1: molecule 1 must have at least 0"),
    ],
)
def test_bad_num_pairs(packer, num_pairs, words):
    with pytest.raises(ValueError, match=words):
        packer([3, 4], PackShape(36), num_pairs=num_pairs)


@every_packer
def test_unresolved_shape(packer):
    with pytest.raises(ValueError, match=r"shape\.num_atoms is null; .* resolve_num_atoms"):
        packer([3], PackShape(None))


@pytest.mark.parametrize("packer", ATOM_PACKERS, ids=packer_name)
def test_packer_of_atoms_refuses_a_pair_limit(packer):
    words = rf"{packer_name(packer)} fills packs by atoms alone .* shape\.num_pairs=50; set"
    with pytest.raises(ValueError, match=words):
        packer([3], PackShape(36, 50), num_pairs=[3])


@pytest.mark.parametrize("packer", PAIR_PACKERS, ids=packer_name)
def test_pair_limit(packer):
    with pytest.raises(ValueError, match=r"shape\.num_pairs=50 needs the pairs of every molecule"):
        packer([3], PackShape(36, 50))
    words = r"molecule 1 has 51 pairs .* raise shape\.num_pairs to at least 51"
    with pytest.raises(ValueError, match=words):
        packer([3, 4], PackShape(36, 50), num_pairs=[3, 51])


@pytest.mark.parametrize("field", ["num_atoms", "num_pairs", "num_molecules"])
@pytest.mark.parametrize("value", [0, -3, 36.0, "36", True, np.float64(36)])
def test_bad_shape(field, value):
    with pytest.raises(ValueError, match=rf"shape\.{field}=.*is not a positive integer; give"):
        PackShape(**{"num_atoms": 36, field: value})


def test_shape_takes_numpy_integers_as_plain_ones():
    shape = PackShape(np.int32(36))
    assert type(shape.num_atoms) is int
    assert shape == PackShape(36)


@every_packer
def test_sums_beyond_32_bits(packer):
    num_atoms = np.full(10, 2**30, dtype=np.int32)
    plan = packer(num_atoms, PackShape(2**33))
    plan.validate()
    assert int(plan.atoms_per_pack.sum()) == 10 * 2**30
    assert plan.epoch(0, 0).num_packs == plan.num_packs


@pytest.mark.parametrize("name", ["num_atoms", "num_pairs", "num_molecules"])
def test_a_limit_that_would_overflow(name):
    limits = {"num_atoms": 9, "num_pairs": 9, name: 2**62 + 1}
    with pytest.raises(ValueError, match=rf"shape.{name}=4611686018427387905 is more than 2\*\*62"):
        PackShape(**limits)


@pytest.mark.parametrize("packer", PACKERS, ids=packer_name)
def test_a_number_in_place_of_a_shape(packer):
    with pytest.raises(ValueError, match=r"shape=48 is no PackShape; write PackShape\(48\)"):
        packer([1, 2], 48)
