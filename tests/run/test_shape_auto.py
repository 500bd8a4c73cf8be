"""`shape=auto` in a run."""

from __future__ import annotations

import pytest

from gnnpack.packing import PackShape, advise, lpfhp, one_per_pack, optimal, resolve_num_atoms
from gnnpack.packing.checks import histogram
from gnnpack.run import run
from gnnpack.run.config_check import check_config
from gnnpack.run.data import make_plans, open_data

# A packer that works molecule by molecule gets the size of optimal.
COUNTED = {"optimal": optimal, "lpfhp": lpfhp, "next_fit": optimal, "one_per_pack": one_per_pack}


@pytest.mark.parametrize("packer", COUNTED)
def test_every_split_has_the_recommended_size(small, packer):
    cfg = small("shape=auto", f"packer={packer}", "dataset.num_molecules=400")
    data = open_data(cfg)
    plans = make_plans(cfg, data)
    advice = advise(*histogram(data.store.num_atoms), packer=COUNTED[packer], batch_size=16)
    assert {plan.atom_capacity for plan in plans.values()} == {advice.recommended.num_atoms}
    if packer == "one_per_pack":
        assert advice.recommended.num_atoms == data.store.num_atoms.max()


def test_null_keeps_its_meaning(small):
    cfg = small("packer=optimal", "dataset.num_molecules=400")
    data = open_data(cfg)
    found = make_plans(cfg, data)["train"].atom_capacity
    resolved = resolve_num_atoms(optimal, data.store.num_atoms, PackShape(None))
    assert found == resolved.num_atoms


def test_it_trains(small, tmp_path):
    assert run(small("shape=auto", "packer=optimal"), tmp_path / "run")["test_mae"] > 0


def test_without_a_batch_size(small):
    cfg = small("shape=auto", "packer=optimal", "batch_size=null", "dataset.num_molecules=400")
    plan = make_plans(cfg, open_data(cfg))["train"]
    assert plan.atom_capacity >= plan.num_atoms.max()


def test_auto_beside_other_limits(small):
    cfg = small("packer=optimal", "shape.num_atoms=auto", "shape.num_pairs=500")
    data = open_data(cfg)
    plan = make_plans(cfg, data)["train"]
    assert plan.shape.num_pairs == 500
    advice = advise(*histogram(data.store.num_atoms), packer=optimal, batch_size=16)
    assert plan.atom_capacity == advice.recommended.num_atoms


def test_a_number_in_place_of_a_shape(small):
    with pytest.raises(ValueError, match=r"shape is 40; give shape\.num_atoms=\.\.\. and so on"):
        check_config(small("shape=40"))


def test_more_pairs_than_a_pack_holds_are_told_by_the_molecules_own_number(small):
    cfg = small("packer=optimal", "shape.num_pairs=3")
    data = open_data(cfg)
    most = data.store.ids[data.store.num_pairs(cfg.cutoff).argmax()]
    with pytest.raises(ValueError, match=f"Molecule number {most} of .* but a pack holds 3"):
        make_plans(cfg, data)
