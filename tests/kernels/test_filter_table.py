"""Interpolation on a grid of distances: what it reproduces, where it is smooth, how fine it is."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from gnnpack.kernels import (
    ROWS,
    find_pairs,
    interpolate,
    interpolation_weights,
    make_stencil,
    num_knots_for,
)
from tests.conftest import batch_of, make_source

ORDERS = sorted(ROWS)
num_knots = st.integers(2, 300)
cutoffs = st.floats(0.5, 30.0)


def table_of(coefficients: Tensor, cutoff: float, num_knots: int, rows_per_knot: int) -> Tensor:
    """Values, and slopes times the spacing, of polynomials (F, degree + 1) at the knots."""
    knots = torch.linspace(0, cutoff, num_knots, dtype=torch.double)
    degrees = torch.arange(coefficients.shape[1])
    value = (knots[:, None] ** degrees) @ coefficients.t()
    slope = (degrees * knots[:, None] ** (degrees - 1).clamp(min=0)) @ coefficients.t()
    rows = [value, slope * (cutoff / (num_knots - 1))]
    return torch.stack(rows[:rows_per_knot], 1)


def filters_at(table: Tensor, distance: Tensor, cutoff: float) -> Tensor:
    where = interpolation_weights(distance, cutoff, table.shape[0], table.shape[1])
    return interpolate(table, *where)


def at(knots: Tensor, spacing: float, part: float) -> Tensor:
    """Distances at a part of the way from each knot to the next."""
    return (knots.double() + part) * spacing


@pytest.mark.parametrize("order, degree", [("linear", 1), ("cubic", 3)])
@given(num_knots=num_knots, cutoff=cutoffs, seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_polynomials_of_the_order_come_back_exactly(order, degree, num_knots, cutoff, seed):
    torch.manual_seed(seed)
    # Divided by the cutoff's powers, so that no term is lost beside another.
    scale = cutoff ** torch.arange(degree + 1, dtype=torch.double)
    coefficients = torch.randn(3, degree + 1, dtype=torch.double) / scale
    table = table_of(coefficients, cutoff, num_knots, ROWS[order])
    distance = torch.cat([torch.rand(50, dtype=torch.double), torch.tensor([0.0, 1.0]).double()])
    distance = (distance * cutoff).requires_grad_()
    found = filters_at(table, distance, cutoff)
    powers = torch.arange(degree + 1)
    expected = (distance.detach()[:, None] ** powers) @ coefficients.t()
    assert_close(found, expected, rtol=1e-9, atol=1e-11)
    (slope,) = torch.autograd.grad(found.sum(), distance)
    falling = (distance.detach()[:, None] ** (powers - 1).clamp(min=0)) * powers
    assert_close(slope * cutoff, falling @ coefficients.sum(0) * cutoff, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype, eps", [(torch.double, 1e-14), (torch.float, 1e-6)])
@given(num_knots=num_knots, cutoff=cutoffs)
@settings(max_examples=30, deadline=None)
def test_weights_of_values_sum_to_1_and_distances_lie_behind_their_knot(
    order, dtype, eps, num_knots, cutoff
):
    ends = torch.tensor([0.0, cutoff], dtype=dtype)
    below = torch.nextafter(ends[1], ends[0])
    distance = torch.cat([ends, below[None], torch.rand(40, dtype=dtype) * cutoff])
    knots, weights = interpolation_weights(distance, cutoff, num_knots, ROWS[order])
    assert knots.dtype == torch.int32
    assert weights.dtype == dtype
    assert weights.shape == (len(distance), 2 * ROWS[order])
    assert knots.min() >= 0
    assert knots.max() <= num_knots - 2
    assert knots[0] == 0
    assert knots[1] == num_knots - 2
    assert_close(weights[:, :: ROWS[order]].sum(1), torch.ones_like(distance), rtol=0, atol=eps)
    part = distance.double() * (num_knots - 1) / cutoff - knots
    slack = 10 * torch.finfo(dtype).eps * num_knots
    assert ((part >= -slack) & (part <= 1 + slack)).all()


@pytest.mark.parametrize("order", ORDERS)
def test_at_a_knot_the_table_itself_comes_back(order):
    table = torch.randn(9, ROWS[order], 5, dtype=torch.double)
    distance = torch.arange(9, dtype=torch.double) * 0.5
    assert_close(filters_at(table, distance, 4.0), table[:, 0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("order", ORDERS)
def test_filters_are_continuous_at_knots_and_cubic_ones_in_their_slope(order):
    table = torch.randn(9, ROWS[order], 5, dtype=torch.double)
    inner = torch.arange(1, 8)
    sides = []
    for part in (-1e-9, 1e-9):
        distance = at(inner, 0.5, part).requires_grad_()
        filters = filters_at(table, distance, 4.0)
        slopes = [
            torch.autograd.grad(filters[:, f].sum(), distance, retain_graph=True)[0]
            for f in range(5)
        ]
        sides.append((filters.detach(), torch.stack(slopes, 1)))
    (left, left_slope), (right, right_slope) = sides
    assert_close(left, right, rtol=0, atol=1e-7)
    if order == "cubic":
        assert_close(left_slope, right_slope, rtol=0, atol=1e-6)
        assert_close(left_slope * 0.5, table[1:8, 1], rtol=0, atol=1e-6)
    else:
        assert (left_slope - right_slope).abs().min() > 1e-3


@pytest.mark.parametrize("order", ORDERS)
def test_weights_differentiate_as_finite_differences(order):
    # Away from knots, where linear weights have a corner.
    distance = at(torch.arange(6), 0.5, 0.3).requires_grad_()

    def weights(distance: Tensor) -> Tensor:
        return interpolation_weights(distance, 4.0, 9, ROWS[order])[1]

    assert torch.autograd.gradcheck(weights, (distance,))


@pytest.mark.parametrize("order", ORDERS)
def test_interpolation_is_the_weighted_sum_of_rows(order):
    """By hand, from the definitions of the basis functions."""
    table = torch.randn(7, ROWS[order], 4, dtype=torch.double)
    distance = torch.rand(3, 11, dtype=torch.double) * 3.0
    found = filters_at(table, distance, 3.0)
    assert found.shape == (3, 11, 4)
    for place in [(0, 0), (1, 5), (2, 10)]:
        x = distance[place].item() / 0.5
        b = min(int(x), 5)
        w = x - b
        if order == "linear":
            expected = (1 - w) * table[b, 0] + w * table[b + 1, 0]
        else:
            expected = (1 + 2 * w) * (1 - w) ** 2 * table[b, 0] + w * (1 - w) ** 2 * table[b, 1]
            expected = expected + w**2 * (3 - 2 * w) * table[b + 1, 0]
            expected = expected + w**2 * (w - 1) * table[b + 1, 1]
        assert_close(found[place], expected)


def test_a_stencil_shares_its_pairs_and_follows_their_distances():
    batch = batch_of(make_source(8))
    pos = batch.pos.double().requires_grad_()
    pairs = find_pairs(pos, batch.molecule_slot, batch.atom_mask, 3.0)
    stencil = make_stencil(pairs, 3.0, 20, 2)
    assert stencil.first is pairs.first
    assert stencil.second is pairs.second
    assert stencil.offsets is pairs.offsets
    knots, weights = interpolation_weights(pairs.distance, 3.0, 20, 2)
    assert torch.equal(stencil.knots, knots)
    assert torch.equal(stencil.weights, weights)
    assert torch.autograd.grad(stencil.weights.square().sum(), pos)[0].any()


@pytest.mark.parametrize("order", ORDERS)
@given(tolerance=st.floats(1e-8, 0.5), cutoff=cutoffs, share=st.floats(0.001, 1.0))
@settings(max_examples=50, deadline=None)
def test_finer_tolerances_and_narrower_gaussians_take_no_fewer_knots(
    order, tolerance, cutoff, share
):
    knots = num_knots_for(tolerance, order, cutoff, share * cutoff)
    assert knots >= 2
    assert num_knots_for(tolerance / 3, order, cutoff, share * cutoff) >= knots
    assert num_knots_for(tolerance, order, cutoff, share * cutoff / 2) >= knots
    # An order of accuracy: halving the spacing divides the error by 4 and by 16.
    fine = num_knots_for(tolerance / 2 ** (2 * ROWS[order]), order, cutoff, share * cutoff)
    assert 2 * (knots - 1) - 2 <= fine - 1 <= 2 * (knots - 1) or knots == 2


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("dtype", [torch.float, torch.double])
def test_pairs_at_the_cutoff_do_not_exist(compiled, dtype):
    pos = torch.zeros(1, 3, 3, dtype=dtype)
    pos[0, :, 0] = torch.tensor([0.0, 3.0, 3.0 + 2.9])
    slots, real = torch.zeros(1, 3, dtype=torch.int64), torch.ones(1, 3, dtype=torch.bool)
    pairs = find_pairs(pos, slots, real, 3.0, compiled=compiled)
    assert pairs.first.tolist() == [1]
    assert pairs.second.tolist() == [2]
