"""The loops of PyG and jraph, as re-created here."""

from __future__ import annotations

from itertools import chain
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnpack.bench.batching_samplers import (
    dynamic_batch_sampler,
    dynamically_batch,
    plan_of_batches,
)
from gnnpack.bench.packer_list import LOOPS, Molecules, jraph_batches, plan_of_loop, pyg_batches
from gnnpack.packing import PackShape, next_fit

# No deadline: the first example may compile a kernel or import torch.
quick = settings(deadline=None, derandomize=True, database=None, max_examples=80)
sizes_lists = st.lists(st.integers(1, 12), min_size=1, max_size=40)


@st.composite
def budgets(draw):
    """(num_atoms, num_pairs, PackShape) of which every molecule fits."""
    num_atoms = np.array(draw(sizes_lists))
    pairs = st.lists(st.integers(0, 30), min_size=num_atoms.size, max_size=num_atoms.size)
    num_pairs = np.array(draw(pairs))
    shape = PackShape(
        int(num_atoms.max()) + draw(st.integers(0, 20)),
        max(1, int(num_pairs.max())) + draw(st.integers(0, 40)),
        draw(st.integers(1, 5)),
    )
    return num_atoms, num_pairs, shape


@given(sizes=sizes_lists, max_num=st.integers(1, 25), skip=st.booleans(), seed=st.integers(0, 9))
@quick
def test_pyg_loop_yields_what_pyg_yields(sizes, max_num, skip, seed):
    loader = pytest.importorskip("torch_geometric.loader")
    order = np.random.RandomState(seed).permutation(len(sizes)).tolist()
    dataset = [SimpleNamespace(num_nodes=sizes[molecule]) for molecule in order]
    sampler = loader.DynamicBatchSampler(dataset, max_num, skip_too_big=skip)
    theirs = [[order[place] for place in batch] for batch in sampler]
    ours = dynamic_batch_sampler(np.array(sizes), max_num, order, skip_too_big=skip)
    assert ours == theirs


@given(sizes=sizes_lists, room=st.integers(0, 20), seed=st.integers(0, 9))
@quick
def test_pyg_loop_is_next_fit_where_everything_fits(sizes, room, seed):
    num_atoms, max_num = np.array(sizes), max(sizes) + room
    order = np.random.RandomState(seed).permutation(len(sizes)).tolist()
    batches = dynamic_batch_sampler(num_atoms, max_num, order)
    assert list(chain.from_iterable(batches)) == order
    assert all(num_atoms[batch].sum() <= max_num for batch in batches)
    for batch, following in zip(batches, batches[1:]):
        assert num_atoms[batch].sum() + num_atoms[following[0]] > max_num


@given(instance=budgets())
@quick
def test_jraph_loop_is_next_fit_under_three_budgets(instance):
    num_atoms, num_pairs, shape = instance
    batches = dynamically_batch(
        num_atoms,
        2 * num_pairs,
        n_node=shape.num_atoms + 1,
        n_edge=2 * shape.num_pairs,
        n_graph=shape.num_molecules + 1,
    )
    plan = next_fit(num_atoms, shape, num_pairs=num_pairs)
    expected = np.split(plan.molecules, plan.offsets[1:-1])
    assert batches == [pack.tolist() for pack in expected]


@pytest.mark.parametrize("atoms, edges", [(6, 0), (1, 9)])
def test_jraph_loop_refuses_what_is_over_the_budget(atoms, edges):
    with pytest.raises(ValueError, match=f"molecule 1 has {atoms} nodes and {edges} edges"):
        dynamically_batch(np.array([1, atoms]), np.array([0, edges]), n_node=6, n_edge=8, n_graph=9)


@given(instance=budgets())
@quick
def test_loops_of_the_tables_fill_packs_of_their_shape(instance):
    num_atoms, num_pairs, shape = instance
    for loop in LOOPS:
        limit = shape.num_pairs if loop.knows_pairs else None
        molecules = Molecules(num_atoms, num_pairs if loop.knows_pairs else None)
        plan = plan_of_loop(loop, molecules, PackShape(shape.num_atoms, limit))
        assert sorted(plan.molecules.tolist()) == list(range(num_atoms.size))
        assert plan.atoms_per_pack.max() <= shape.num_atoms
        assert limit is None or plan.pairs_per_pack.max() <= limit


def test_pyg_loop_of_the_tables_shuffles_and_jraphs_keeps_the_order():
    molecules = Molecules(np.full(50, 1))
    assert list(chain.from_iterable(jraph_batches(molecules, PackShape(3)))) == list(range(50))
    assert list(chain.from_iterable(pyg_batches(molecules, PackShape(3)))) != list(range(50))


def test_batches_that_are_no_plan_are_refused():
    num_atoms = np.array([2, 3])
    with pytest.raises(ValueError, match="molecule 1 is in 0 packs"):
        plan_of_batches([[0]], num_atoms, PackShape(5), packer="loop")
    with pytest.raises(ValueError, match="pack 0 holds 5 atoms"):
        plan_of_batches([[0, 1]], num_atoms, PackShape(4), packer="loop")
