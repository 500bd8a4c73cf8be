"""The shifted softplus, in torch and inside compiled loops, against float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from gnnpack.kernels import shifted_softplus

pytest.importorskip("numba")

from gnnpack.kernels import cpu_softplus

EPS = torch.finfo(torch.float32).eps
INF, NAN = float("inf"), float("nan")


def value_and_slope(x: Tensor) -> tuple[Tensor, Tensor]:
    """By the compiled loop, of numbers (N,) in rows of seven: whole vectors and what is left."""
    padded = torch.zeros(-(-len(x) // 7), 7)
    padded.view(-1)[: len(x)] = x
    slope = torch.full_like(padded, NAN)
    cpu_softplus.value_and_slope(padded.numpy(), slope.numpy())
    return padded.view(-1)[: len(x)], slope.view(-1)[: len(x)]


def plain_value_and_slope(x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.clone().requires_grad_()
    value = shifted_softplus(x)
    (slope,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), slope


WAYS = pytest.mark.parametrize("way", [value_and_slope, plain_value_and_slope])


def test_value_and_slope_are_within_rounding_of_float64():
    # The spacing of float32 numbers around 0, and far beyond where e^x overflows.
    near = torch.logspace(-30, -1, 2_000)
    x = torch.cat([torch.linspace(-100, 100, 200_001), near, -near, torch.zeros(1)])
    value, slope = value_and_slope(x)
    wide = x.double()
    exact = torch.logaddexp(wide, torch.zeros_like(wide)) - math.log(2)
    # The subtraction of ln 2 leaves the rounding of numbers of about ln 2.
    assert ((value - exact).abs() <= 2 * EPS * exact.abs().clamp(min=math.log(2))).all()
    sigmoid = torch.sigmoid(wide)
    # Below -87 e^x is no normal float32: the slope stays at e^-87.
    normal = wide > -87
    assert ((slope - sigmoid).abs() <= 4 * EPS * sigmoid)[normal].all()
    assert ((slope >= 0) & (slope <= 2e-38))[~normal].all()


@WAYS
def test_it_is_0_at_0_with_slope_a_half(way):
    value, slope = way(torch.zeros(1))
    assert abs(value.item()) <= EPS / 2
    assert slope.item() == 0.5


@WAYS
def test_it_rises_everywhere(way):
    value, slope = way(torch.linspace(-20, 20, 4_001))
    assert (value.diff() >= 0).all()
    assert (slope.diff() >= -EPS).all()


@WAYS
def test_infinity_and_nan_come_through(way):
    value, slope = way(torch.tensor([INF, -INF, NAN, 1e30, -1e30]))
    expected = torch.tensor([INF, -math.log(2), NAN, 1e30, -math.log(2)])
    assert_close(value, expected, equal_nan=True, rtol=1e-6, atol=0)
    assert_close(slope, torch.tensor([1.0, 0.0, NAN, 1.0, 0.0]), equal_nan=True)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (3, 16), (17, 20), (40, 112), (0, 4)])
def test_loops_over_matrices_equal_plain_torch_and_write_nothing_else(shape):
    """Forward and backward pass over some rows of a larger matrix."""
    rows = slice(2, 2 + shape[0])
    matrices = torch.randn(2, shape[0] + 5, shape[1]).mul_(5)
    (x, grad), slope, before = matrices, torch.zeros(matrices.shape[1:]), matrices.clone()
    total = torch.randn(shape[1])
    inner = x[rows].double().requires_grad_()
    expected = shifted_softplus(inner)
    (expected_grad,) = torch.autograd.grad(expected, inner, grad[rows].double())
    expected_total = total + expected_grad.sum(0)
    cpu_softplus.value_and_slope(x[rows].numpy(), slope[rows].numpy())
    cpu_softplus.multiply_and_sum(grad[rows].numpy(), slope[rows].numpy(), total.numpy())
    for found, exact in [
        (x[rows], expected.detach()),
        (grad[rows], expected_grad),
        (total, expected_total),
    ]:
        assert_close(found.double(), exact, rtol=1e-5, atol=2e-6)
    outside = torch.ones(len(x), dtype=torch.bool)
    outside[rows] = False
    assert torch.equal(matrices[:, outside], before[:, outside])
    assert not slope[outside].any()


def test_in_float64_ln_2_is_that_of_float32():
    """Else weights taken over from a float32 network would give other energies."""
    x = torch.randn(50, dtype=torch.double)
    expected = x.exp().log1p() - float(torch.tensor(2.0).log())
    assert_close(shifted_softplus(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_any_shape_and_precision_serves_and_the_input_is_left_alone(dtype):
    x = torch.randn(2, 3, 5, dtype=dtype)
    before, leaf = x.clone(), x.requires_grad_()
    out = shifted_softplus(leaf)
    (grad,) = torch.autograd.grad(out.sum(), leaf)
    assert torch.equal(leaf, before)
    assert out.dtype == grad.dtype == dtype
    assert_close(grad, torch.sigmoid(before))


def test_gradients_are_those_of_finite_differences():
    x = torch.randn(2, 3, 5, dtype=torch.double).requires_grad_()
    assert torch.autograd.gradcheck(shifted_softplus, (x,))
