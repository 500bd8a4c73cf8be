"""What packs hold, against a loop over molecules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import PACKERS, batch_of, make_source

from gnnpack.batching import PackLoader, PackSource, assemble, packs_per_update
from gnnpack.packing import PackShape, lpfhp


def check_against_loop(source: PackSource, plan, batch, start: int) -> None:
    """Every molecule is where the plan says, and everything else is filler."""
    real_atoms = torch.zeros_like(batch.atom_mask)
    real_molecules = torch.zeros_like(batch.molecule_mask)
    for p in range(len(batch.z)):
        first = 0
        molecules = plan.molecules[plan.offsets[start + p] : plan.offsets[start + p + 1]]
        for slot, molecule in enumerate(molecules):
            row = source.rows[molecule]
            atoms = slice(source.offsets[row], source.offsets[row + 1])
            size = atoms.stop - atoms.start
            here = slice(first, first + size)
            assert batch.z[p, here].tolist() == source.z[atoms].tolist()
            assert np.array_equal(batch.pos[p, here].numpy(), source.pos[atoms])
            assert (batch.molecule_slot[p, here] == slot).all()
            assert batch.target[p, slot].item() == np.float32(source.target[row])
            assert batch.num_atoms[p, slot] == size
            real_atoms[p, here] = True
            real_molecules[p, slot] = True
            first += size
    filler_slot = batch.molecule_mask.shape[1] - 1
    assert torch.equal(batch.atom_mask, real_atoms)
    assert torch.equal(batch.molecule_mask, real_molecules)
    assert (batch.z[~real_atoms] == 0).all()
    assert (batch.molecule_slot[~real_atoms] == filler_slot).all()
    assert (batch.num_atoms[~real_molecules] == 0).all()
    assert torch.isfinite(batch.pos).all()


@given(
    seed=st.integers(0, 1000),
    num_molecules=st.integers(1, 40),
    packer=st.sampled_from(PACKERS),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_packs_hold_what_the_plan_says(seed, num_molecules, packer, data):
    source = make_source(num_molecules, seed)
    plan = packer(source.num_atoms, PackShape(data.draw(st.integers(14, 40))))
    start = data.draw(st.integers(0, plan.num_packs - 1))
    stop = data.draw(st.integers(start + 1, plan.num_packs))
    batch = assemble(source, plan, start, stop, np.full(stop - start, num_molecules))
    check_against_loop(source, plan, batch, start)


def test_the_last_molecule_slot_is_filler_also_in_a_full_pack():
    source = make_source(40, largest=3)
    batch = batch_of(source, num_atoms=6)
    assert batch.atom_mask.all(1).any(), "the case this test is about: a pack without filler"
    assert not batch.molecule_mask[:, -1].any()


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("per_update", [1, 4, 7])
def test_every_batch_of_an_epoch_has_one_shape_and_dtype(source, packer, per_update):
    plan = packer(source.num_atoms, PackShape(20))
    loader = PackLoader(source, plan, packs_per_update=per_update, epoch=lambda: 3)
    forms = {tuple((tuple(t.shape), t.dtype) for t in batch) for batch in loader}
    assert len(forms) == 1
    assert sum(1 for _ in loader) == len(loader)


def test_an_epoch_is_a_pure_function_of_seed_and_epoch(source):
    plan = lpfhp(source.num_atoms, PackShape(20))

    def batches(seed: int, epoch: int, depth: int = 3) -> torch.Tensor:
        loader = PackLoader(
            source, plan, packs_per_update=3, seed=seed, epoch=lambda: epoch, depth=depth
        )
        return torch.cat([batch.pos for batch in loader])

    assert torch.equal(batches(0, 5), batches(0, 5, depth=0))
    assert not torch.equal(batches(0, 5), batches(0, 6))
    assert not torch.equal(batches(0, 5), batches(1, 5))


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_an_update_holds_the_same_molecules_on_any_number_of_ranks(
    source, world_size, accumulation
):
    plan = lpfhp(source.num_atoms, PackShape(20))

    def updates(world_size: int, accumulation: int) -> list[tuple[list[float], set[int]]]:
        loaders = [
            iter(
                PackLoader(
                    source,
                    plan,
                    packs_per_update=8,
                    rank=rank,
                    world_size=world_size,
                    accumulation=accumulation,
                    epoch=lambda: 1,
                )
            )
            for rank in range(world_size)
        ]
        steps = [list(loader) for loader in loaders]
        found = []
        for start in range(0, len(steps[0]), accumulation):
            batches = [b for rank in steps for b in rank[start : start + accumulation]]
            targets = torch.cat([b.target[b.molecule_mask] for b in batches])
            counts = {int(n) for b in batches for n in b.step_molecules}
            found.append((sorted(targets.tolist()), counts))
        return found

    alone = updates(1, 1)
    assert updates(world_size, accumulation) == alone
    for targets, counts in alone:
        assert counts == {len(targets)}


def test_an_epoch_holds_every_molecule_once(source):
    plan = lpfhp(source.num_atoms, PackShape(20))
    loader = PackLoader(source, plan, packs_per_update=4, epoch=lambda: 0)
    seen = torch.cat([batch.target[batch.molecule_mask] for batch in loader])
    assert sorted(seen.tolist()) == sorted(source.target.astype(np.float32).tolist())


def test_what_fails_while_made_ahead_fails_in_the_consumer(source):
    plan = lpfhp(source.num_atoms, PackShape(20))
    broken = source._replace(pos=source.pos[:3])
    with pytest.raises(IndexError):
        list(PackLoader(broken, plan, packs_per_update=4))


def test_a_consumer_may_stop_early(source):
    plan = lpfhp(source.num_atoms, PackShape(20))
    loader = PackLoader(source, plan, packs_per_update=1, depth=2)
    iterator = iter(loader)
    next(iterator)
    iterator.close()
    assert len(list(loader)) == len(loader)


@given(batch_size=st.integers(1, 500), multiple=st.integers(1, 8), num_packs=st.integers(1, 1000))
def test_packs_per_update_is_a_positive_multiple(batch_size, multiple, num_packs):
    packs = packs_per_update(
        batch_size, num_packs=num_packs, num_molecules=2 * num_packs, multiple_of=multiple
    )
    assert packs >= 1
    assert packs % multiple == 0
    assert packs <= max(1, round(batch_size / 2)) + multiple - 1


def test_bad_loader_arguments_name_the_cure(source):
    plan = lpfhp(source.num_atoms, PackShape(20))
    with pytest.raises(ValueError, match="multiple of ranks x accumulation = 2 x 1"):
        PackLoader(source, plan, packs_per_update=3, world_size=2)
    with pytest.raises(ValueError, match=r"loader\.prefetch is -1"):
        PackLoader(source, plan, packs_per_update=3, depth=-1)
    with pytest.raises(ValueError, match="batch_size is 0"):
        packs_per_update(0, num_packs=1, num_molecules=1)
