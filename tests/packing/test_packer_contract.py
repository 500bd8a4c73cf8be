"""What holds for every packer."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from every_packer import PACKERS, instances, make_plan, packs, quick
from hypothesis import given

from gnnpack.packing import PackShape, lpfhp, packer_name

every_packer = pytest.mark.parametrize("packer", PACKERS, ids=packer_name)


@every_packer
@given(instance=instances())
@quick
def test_every_molecule_once_and_no_pack_over_its_shape(packer, instance):
    plan = make_plan(packer, instance)
    assert sorted(plan.molecules.tolist()) == list(range(len(instance[0])))
    for pack in packs(plan):
        assert pack, "a packer makes no empty packs"
        assert len(pack) <= plan.molecule_capacity
        assert sum(int(plan.num_atoms[i]) for i in pack) <= plan.atom_capacity
        if plan.shape.num_pairs is not None:
            assert sum(int(plan.num_pairs[i]) for i in pack) <= plan.shape.num_pairs
    assert plan.num_packs >= plan.lower_bound
    plan.validate()


@every_packer
@given(instance=instances())
@quick
def test_same_input_same_plan(packer, instance):
    once, again = make_plan(packer, instance, seed=3), make_plan(packer, instance, seed=3)
    assert packs(once) == packs(again)


@every_packer
@given(instance=instances())
@quick
def test_figures_of_the_plan(packer, instance):
    plan = make_plan(packer, instance)
    held = packs(plan)
    assert plan.num_packs == len(held)
    assert plan.num_molecules == len(instance[0])
    assert plan.molecules_per_pack.tolist() == [len(pack) for pack in held]
    assert plan.atoms_per_pack.tolist() == [sum(int(plan.num_atoms[i]) for i in p) for p in held]
    assert plan.pairs_per_pack.tolist() == [sum(int(plan.num_pairs[i]) for i in p) for p in held]
    slots = len(held) * plan.atom_capacity
    assert plan.atom_efficiency == int(instance[0].sum(dtype=np.int64)) / slots


@every_packer
def test_resolved_shape(packer):
    num_atoms = np.array([4, 4, 4, 9, 9])
    plan = packer(num_atoms, PackShape(12))
    assert plan.shape == PackShape(12, None, int(plan.molecules_per_pack.max()))
    assert packer(num_atoms, PackShape(12, None, 7)).shape == PackShape(12, None, 7)
    assert plan.pair_efficiency is None
    assert plan.num_atoms is num_atoms
    assert plan.packer == packer_name(packer)


def test_pair_efficiency_counts_pairs_over_pair_slots():
    packer = PACKERS[-2]
    plan = packer([2, 2, 2], PackShape(4, 10), num_pairs=[4, 4, 4])
    assert plan.num_packs == 2
    assert plan.pair_efficiency == pytest.approx(12 / 20)


def test_plan_takes_a_list():
    assert lpfhp([3, 1, 2], PackShape(3)).num_packs == 2


def test_room_needs_neither_torch_nor_numba_to_import():
    check = (
        "import sys, gnnpack.packing as p; p.lpfhp([2, 3], p.PackShape(5)); "
        "sys.exit(bool({'torch', 'numba', 'hydra'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
