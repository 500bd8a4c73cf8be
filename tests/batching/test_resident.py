"""Packs filled on the device are those filled by the host, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import PACKERS, make_source
from torch.utils._python_dispatch import TorchDispatchMode

from gnnpack.batching import (
    PackLoader,
    ResidentColumns,
    ResidentLoader,
    ResidentPacks,
    assemble,
    assemble_resident,
    choose_place,
    resident_bytes,
)
from gnnpack.batching.resident import pack_rows
from gnnpack.packing import PackShape, lpfhp


def assert_same_batch(one, other) -> None:
    for name, value, expected in zip(one._fields, one, other):
        assert value.dtype == expected.dtype, name
        assert torch.equal(value, expected), name


@given(
    seed=st.integers(0, 1000),
    num_molecules=st.integers(1, 40),
    packer=st.sampled_from(PACKERS),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_resident_packs_equal_the_hosts(seed, num_molecules, packer, data):
    source = make_source(num_molecules, seed)
    if data.draw(st.booleans()):
        source = source._replace(target=None)
    plan = packer(source.num_atoms, PackShape(data.draw(st.integers(14, 40))))
    plan = plan.pad_to(plan.num_packs + data.draw(st.integers(0, 3)))
    molecules = np.full(plan.num_packs, data.draw(st.integers(0, num_molecules)))
    made = assemble_resident(
        ResidentColumns.of(source, "cpu"),
        torch.from_numpy(pack_rows(source, plan)),
        torch.from_numpy(molecules),
        plan.atom_capacity,
    )
    assert_same_batch(made, assemble(source, plan, 0, plan.num_packs, molecules))


def loaders(source, **options):
    plan = lpfhp(source.num_atoms, PackShape(20))
    options = {"packs_per_update": 4, "epoch": lambda: 2, **options}
    columns = ResidentColumns.of(source, "cpu")
    return PackLoader(source, plan, **options), ResidentLoader(source, plan, columns, **options)


@pytest.mark.parametrize(
    "options", [{}, {"accumulation": 2}, {"world_size": 2, "rank": 1}], ids=str
)
@pytest.mark.parametrize("depth", [0, 2])
def test_an_epoch_is_the_same_from_both(source, options, depth):
    host, resident = loaders(source, depth=depth, **options)
    assert len(host) == len(resident)
    for _ in range(2):
        for one, other in zip(resident, host):
            assert_same_batch(one, other)


@pytest.mark.parametrize("iterations", [1, 2, 3, 50])
def test_host_steps_hold_the_updates_in_turn(source, iterations):
    plain = list(loaders(source)[0])
    for loader in loaders(source, device_iterations=iterations):
        steps, updates = 0, []
        for step in loader:
            steps += 1
            updates += [step.take(update) for update in range(step.num_updates)]
            made = updates[-step.num_updates :]
            assert step.atom_slots == sum(batch.atom_mask.numel() for batch in made)
            for batch, *counts in zip(made, step.molecules, step.atoms):
                assert [int(batch.molecule_mask.sum()), int(batch.atom_mask.sum())] == counts
        assert steps == len(loader)
        assert len(updates) == loader.updates_per_epoch == loader.updates_of(steps)
        for one, other in zip(updates, plain):
            assert_same_batch(one, other)


def updates_of(steps) -> list:
    """Batches of all updates of an iteration."""
    found = []
    for step in steps:
        several = hasattr(step, "take")
        found += [step.take(k) for k in range(step.num_updates)] if several else [step]
    return found


@pytest.mark.parametrize("iterations", [None, 2])
@pytest.mark.parametrize("kind", [0, 1], ids=["host", "resident"])
def test_an_iteration_goes_on_where_it_was_left(source, iterations, kind):
    whole = updates_of(loaders(source, device_iterations=iterations)[kind])
    left, later = (loaders(source, device_iterations=iterations)[kind] for _ in range(2))
    done = updates_of([next(iter(left))])
    later.load_state_dict(left.state_dict())
    rest = updates_of(later)
    assert len(done) + len(rest) == len(whole)
    for one, other in zip(rest, whole[len(done) :]):
        assert_same_batch(one, other)


def test_every_epoch_is_its_own(source):
    state = {"epoch": 0}
    host, resident = loaders(source, epoch=lambda: state["epoch"])
    found = []
    for epoch in (0, 1, 2, 5):
        state["epoch"] = epoch
        batches = list(resident)
        for one, other in zip(batches, host):
            assert_same_batch(one, other)
        found.append(torch.cat([batch.pos for batch in batches]))
    assert not torch.equal(found[0], found[1])


class NoReading(TorchDispatchMode):
    """Refuses what a CUDA graph cannot hold, and notes the place of every tensor written to."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func.overloadpacket.__name__ not in ("_local_scalar_dense", "nonzero"), func
        return func(*args, **(kwargs or {}))


def test_taking_packs_reads_no_number_back_and_keeps_its_memory(source):
    plan = lpfhp(source.num_atoms, PackShape(20))
    packs = ResidentPacks(ResidentColumns.of(source, "cpu"), plan, plan.num_packs, 3)
    rows, molecules = pack_rows(source, plan), np.full(plan.num_packs, 7)
    kept = [(t, t.data_ptr()) for t in vars(packs).values() if isinstance(t, torch.Tensor)]
    for _ in range(2):
        packs.load(rows, molecules)
        with NoReading():
            first, second = packs.take(), packs.take()
        assert_same_batch(first, assemble(source, plan, 0, 3, molecules[:3]))
        assert_same_batch(second, assemble(source, plan, 3, 6, molecules[3:6]))
    assert [tensor.data_ptr() for tensor, _ in kept] == [place for _, place in kept]


def test_auto_is_resident_where_it_fits_and_helps():
    options = {"num_bytes": 30, "memory_share": 0.25}
    assert choose_place("auto", device_bytes=None, **options) == "host"
    assert choose_place("auto", device_bytes=120, **options) == "resident"
    assert choose_place("auto", device_bytes=119, **options) == "host"
    assert choose_place("host", device_bytes=10_000, **options) == "host"
    assert choose_place("resident", device_bytes=None, **options) == "resident"
    with pytest.raises(ValueError, match=r"device has .*Use loader=host"):
        choose_place("resident", device_bytes=29, **options)
    with pytest.raises(ValueError, match=r"loader\.place is 'disk'; choose one of auto, host"):
        choose_place("disk", device_bytes=None, **options)
    with pytest.raises(ValueError, match=r"loader\.memory_share is 0"):
        choose_place("auto", num_bytes=1, device_bytes=None, memory_share=0)


def test_resident_bytes_are_those_of_the_columns(source):
    columns = ResidentColumns.of(source, "cpu")
    assert resident_bytes(source) == sum(c.numel() * c.element_size() for c in columns)


def test_a_plan_of_other_molecules_would_be_noticed(source):
    """The comparisons above see a single molecule in another's place."""
    plan = lpfhp(source.num_atoms, PackShape(20))
    same = np.flatnonzero(plan.num_atoms == plan.num_atoms[plan.molecules[0]])
    other = plan.molecules.copy()
    places = [int(np.flatnonzero(other == molecule)[0]) for molecule in same[:2]]
    other[places] = other[places[::-1]]
    molecules = np.full(plan.num_packs, 7)
    one, two = (
        assemble(source, made, 0, plan.num_packs, molecules)
        for made in (plan, replace(plan, molecules=other))
    )
    with pytest.raises(AssertionError):
        assert_same_batch(one, two)
