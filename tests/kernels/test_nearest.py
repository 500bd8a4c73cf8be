"""A fixed number of nearest neighbours, against a brute force and, uncut, the dense form."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from gnnpack.kernels import (
    count_cut,
    dense_convolution,
    dense_neighbours,
    nearest_convolution,
    nearest_neighbours,
    shifted_softplus,
    stable_softplus,
    static_graph,
)
from tests.conftest import batch_of, in_double, make_source

CUTOFF = 2.5


def packs(seed: int = 0):
    batch = in_double(batch_of(make_source(12, seed=seed)))
    return batch.pos, batch.molecule_slot, batch.atom_mask


def brute_force(pos, slot, mask, k):
    """For every slot the k nearest (distance, slot) of its molecule, from Python loops."""
    P, N = slot.shape
    found = [[[] for _ in range(N)] for _ in range(P)]
    for p in range(P):
        for i in range(N):
            if not mask[p, i]:
                continue
            others = [
                (float((pos[p, i] - pos[p, j]).norm()), j)
                for j in range(N)
                if j != i and mask[p, j] and slot[p, i] == slot[p, j]
            ]
            found[p][i] = sorted(pair for pair in others if pair[0] < CUTOFF)[:k]
    return found


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 30), st.integers(0, 5))
def test_the_nearest_are_those_of_a_brute_force(k, seed):
    fields = packs(seed)
    near = nearest_neighbours(*fields, CUTOFF, k)
    for p, pack in enumerate(brute_force(*fields, k)):
        for i, expected in enumerate(pack):
            kept = near.mask[p, i] > 0
            assert near.source[p, i, kept].tolist() == [j for _, j in expected]
            distances = torch.tensor([d for d, _ in expected], dtype=torch.float64)
            assert_close(near.distance[p, i, kept], distances)
            assert not near.distance[p, i, ~kept].any()


def test_without_a_cut_the_convolution_is_the_dense_one():
    pos, slot, mask = packs()
    pos = pos.clone().requires_grad_()
    features = torch.randn(*slot.shape, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(5, dtype=torch.float64, requires_grad=True)
    dense = dense_neighbours(pos, slot, mask, CUTOFF)
    near = nearest_neighbours(pos, slot, mask, CUTOFF, slot.shape[1])
    both = [
        dense_convolution(features, torch.sin(dense.distance[..., None] * weight), dense.mask),
        nearest_convolution(
            features, near.source, torch.sin(near.distance[..., None] * weight), near.mask
        ),
    ]
    assert_close(both[1], both[0])
    slopes = [torch.autograd.grad(out.square().sum(), (features, weight, pos)) for out in both]
    for one, other in zip(*slopes):
        assert one.abs().max() > 0
        assert_close(one, other)


@pytest.mark.parametrize("k", [1, 2, 4, 30])
def test_what_is_cut_is_counted(k):
    fields = packs()
    cut, total = count_cut(*fields, CUTOFF, k)
    dense = dense_neighbours(*fields, CUTOFF).mask.sum()
    kept = nearest_neighbours(*fields, CUTOFF, k).mask.sum()
    assert (total, cut) == (int(dense), int(dense - kept))
    assert (cut > 0) == (k < 30)


def test_a_static_graph_has_the_stable_softplus():
    x = torch.tensor([-800.0, -20.0, -1.0, 0.0, 1.0, 20.0, 800.0], dtype=torch.float64)
    x.requires_grad_()
    plain = shifted_softplus(x)
    with static_graph():
        stable = shifted_softplus(x)
    assert_close(stable, plain)
    # log1p and exp, not one operation that a static compiler has as a slow one.
    assert "Softplus" in _history(plain.grad_fn)
    assert "Softplus" not in _history(stable.grad_fn)
    slopes = [torch.autograd.grad(values.sum(), x)[0] for values in (plain, stable)]
    assert_close(slopes[1], slopes[0])
    assert_close(stable_softplus(x) - stable_softplus(-x), x)


def _history(node) -> str:
    if node is None:
        return ""
    return type(node).__name__ + "".join(_history(before) for before, _ in node.next_functions)
