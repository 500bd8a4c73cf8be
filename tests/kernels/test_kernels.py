"""Fast paths against slow obvious references, values and gradients."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from gnnpack.kernels import Pairs, continuous_filter_convolution, dense_neighbours, find_pairs
from tests.conftest import PACKERS, batch_of, make_source


def pairs_by_hand(batch, cutoff: float) -> set[tuple[int, int]]:
    found = set()
    N = batch.z.shape[1]
    for p in range(len(batch.z)):
        for i in range(N):
            for j in range(i + 1, N):
                same = batch.molecule_slot[p, i] == batch.molecule_slot[p, j]
                if same and batch.atom_mask[p, i] and batch.atom_mask[p, j]:
                    distance = math.dist(batch.pos[p, i].tolist(), batch.pos[p, j].tolist())
                    if distance < cutoff:
                        found.add((p * N + i, p * N + j))
    return found


def as_set(pairs: Pairs) -> set[tuple[int, int]]:
    return set(zip(pairs.first.tolist(), pairs.second.tolist()))


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("cutoff", [1.5, 6.0])
def test_pairs_are_those_of_three_loops(compiled, cutoff):
    batch = batch_of(make_source(12))
    pairs = find_pairs(batch.pos, batch.molecule_slot, batch.atom_mask, cutoff, compiled=compiled)
    assert as_set(pairs) == pairs_by_hand(batch, cutoff)
    N = batch.z.shape[1]
    for p in range(len(batch.z)):
        mine = slice(int(pairs.offsets[p]), int(pairs.offsets[p + 1]))
        assert (pairs.first[mine] // N == p).all()


@given(seed=st.integers(0, 500), packer=st.sampled_from(PACKERS), cutoff=st.floats(0.5, 8.0))
@settings(max_examples=40, deadline=None)
def test_compiled_pairs_equal_the_reference(seed, packer, cutoff):
    batch = batch_of(make_source(15, seed), packer)
    fields = batch.pos, batch.molecule_slot, batch.atom_mask, cutoff
    for fast, slow in zip(find_pairs(*fields), find_pairs(*fields, compiled=False)):
        assert torch.equal(fast, slow)


def test_dense_neighbours_are_the_same_pairs_both_ways(batch):
    fields = batch.pos, batch.molecule_slot, batch.atom_mask, 3.0
    near = dense_neighbours(*fields)
    assert torch.equal(near.mask, near.mask.transpose(1, 2))
    pack, i, j = near.mask.triu().nonzero(as_tuple=True)
    N = batch.z.shape[1]
    assert set(zip((pack * N + i).tolist(), (pack * N + j).tolist())) == as_set(find_pairs(*fields))


def test_distances_have_finite_gradients_where_atoms_coincide(batch):
    pos = torch.zeros_like(batch.pos).requires_grad_()
    pairs = find_pairs(pos, batch.molecule_slot, batch.atom_mask, 3.0)
    near = dense_neighbours(pos, batch.molecule_slot, batch.atom_mask, 3.0)
    (pairs.distance.sum() + (near.distance * near.mask).sum()).backward()
    assert len(pairs.distance)
    assert torch.isfinite(pos.grad).all()


def test_distances_differentiate_as_finite_differences(batch):
    pos = batch.pos[:2].double().requires_grad_()
    fields = batch.molecule_slot[:2], batch.atom_mask[:2], 4.0

    def energy(pos: torch.Tensor) -> torch.Tensor:
        # Smooth across the cutoff, as the network is.
        distance = find_pairs(pos, *fields).distance
        return ((4.0 - distance) ** 3).sum()

    assert torch.autograd.gradcheck(energy, (pos,), nondet_tol=0.0)


def convolution_inputs(seed: int, F: int = 7):
    batch = batch_of(make_source(10, seed))
    pairs = find_pairs(batch.pos.double(), batch.molecule_slot, batch.atom_mask, 4.0)
    generator = torch.Generator().manual_seed(seed)
    A, E = batch.z.numel(), len(pairs.first)
    shapes = ((A, F), (E, F), (E,))
    return pairs, [
        torch.randn(*shape, generator=generator, dtype=torch.double).requires_grad_()
        for shape in shapes
    ]


@given(seed=st.integers(0, 200))
@settings(max_examples=20, deadline=None)
def test_compiled_convolution_equals_the_reference_with_gradients(seed):
    pairs, inputs = convolution_inputs(seed)
    results = []
    for compiled in (True, False):
        out = continuous_filter_convolution(*inputs, pairs, compiled=compiled)
        results.append((out, *torch.autograd.grad(out.sin().sum(), inputs)))
    for fast, slow in zip(*results):
        assert_close(fast, slow, rtol=1e-12, atol=1e-12)


def test_convolution_sums_over_both_directions_of_each_pair():
    pairs, (features, filters, envelope) = convolution_inputs(3)
    out = continuous_filter_convolution(features, filters, envelope, pairs)
    by_hand = torch.zeros_like(out)
    for e, (i, j) in enumerate(zip(pairs.first.tolist(), pairs.second.tolist())):
        by_hand[i] += features[j] * filters[e] * envelope[e]
        by_hand[j] += features[i] * filters[e] * envelope[e]
    assert_close(out, by_hand)


def test_convolution_does_not_depend_on_the_number_of_threads():
    pairs, inputs = convolution_inputs(5)
    results = []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        out = continuous_filter_convolution(*inputs, pairs)
        results.append((out, *torch.autograd.grad(out.sum(), inputs)))
    torch.set_num_threads(before)
    for one, two in zip(*results):
        assert torch.equal(one, two)


def test_nan_is_not_swallowed_by_the_compiled_kernel():
    pairs, (features, filters, envelope) = convolution_inputs(2)
    with torch.no_grad():
        filters[0] = float("nan")
    out = continuous_filter_convolution(features, filters, envelope, pairs)
    assert out[pairs.first[0].item()].isnan().all()


def test_no_pairs_at_all_is_no_message(batch):
    pairs = find_pairs(batch.pos, batch.molecule_slot, batch.atom_mask, 1e-6)
    features = torch.randn(batch.z.numel(), 3)
    out = continuous_filter_convolution(features, torch.empty(0, 3), torch.empty(0), pairs)
    assert not out.any()
