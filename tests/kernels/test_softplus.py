"""The compiled shifted softplus against float64 and plain torch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from gnnpack.kernels import shifted_softplus, softplus, threads

EPS = torch.finfo(torch.float32).eps


def value_and_slope(x: Tensor, *, compiled: bool = True) -> tuple[Tensor, Tensor]:
    """Of numbers (N,), as one column; a bias of 0 lets the compiled loop serve."""
    column = x[:, None].clone().requires_grad_()
    out = shifted_softplus(column, column.new_zeros(1), compiled=compiled)
    (slope,) = torch.autograd.grad(out.sum(), column)
    return out.detach()[:, 0], slope[:, 0]


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


def test_it_is_0_at_0_with_slope_a_half():
    value, slope = value_and_slope(torch.zeros(1))
    assert abs(value.item()) <= EPS / 2
    assert slope.item() == 0.5


def test_it_rises_everywhere():
    value, slope = value_and_slope(torch.linspace(-20, 20, 4_001))
    assert (value.diff() >= 0).all()
    assert (slope.diff() >= -EPS).all()


@pytest.mark.parametrize("compiled", [True, False])
def test_infinity_and_nan_come_through(compiled):
    inf, nan = float("inf"), float("nan")
    value, slope = value_and_slope(torch.tensor([inf, -inf, nan, 1e30, -1e30]), compiled=compiled)
    expected = torch.tensor([inf, -math.log(2), nan, 1e30, -math.log(2)])
    assert_close(value, expected, equal_nan=True, rtol=1e-6, atol=0)
    assert_close(slope, torch.tensor([1.0, 0.0, nan, 1.0, 0.0]), equal_nan=True)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (3, 16), (17, 20), (40, 100), (0, 4)])
def test_bias_and_gradients_equal_plain_torch(shape):
    x, bias = torch.randn(shape).mul_(5).requires_grad_(), torch.randn(shape[1]).requires_grad_()
    found = []
    for compiled in (True, False):
        out = shifted_softplus(x, bias, compiled=compiled)
        found.append((out.detach(), *torch.autograd.grad(out.sin().sum(), (x, bias))))
    for fast, slow in zip(*found):
        assert_close(fast, slow, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("compiled", [True, False])
def test_the_input_is_left_alone(compiled):
    x, bias = torch.randn(4, 6), torch.randn(6)
    before = x.clone()
    leaf = x.requires_grad_()
    out = shifted_softplus(leaf, bias, compiled=compiled)
    grad = torch.randn(4, 6)
    kept = grad.clone()
    torch.autograd.grad(out, leaf, grad)
    assert torch.equal(x, before)
    assert torch.equal(grad, kept)


def test_tensors_that_do_not_lie_row_by_row_serve():
    x, bias, grad = torch.randn(6, 4).t(), torch.randn(12)[::2], torch.randn(6, 4).t()
    found = []
    for tensors in ((x, bias, grad), tuple(t.contiguous() for t in (x, bias, grad))):
        x, bias = (tensor.detach().requires_grad_() for tensor in tensors[:2])
        out = shifted_softplus(x, bias)
        found.append((out.detach(), *torch.autograd.grad(out, (x, bias), tensors[2])))
    for one, two in zip(*found):
        assert torch.equal(one, two)


def test_a_second_backward_pass_gives_the_same():
    x, bias = torch.randn(9, 4).requires_grad_(), torch.randn(4).requires_grad_()
    loss = shifted_softplus(x, bias).square().sum()
    first = torch.autograd.grad(loss, (x, bias), retain_graph=True)
    for one, two in zip(first, torch.autograd.grad(loss, (x, bias))):
        assert torch.equal(one, two)


@pytest.mark.parametrize("python_threads", [False, True])
def test_the_number_of_threads_changes_no_bit(python_threads, monkeypatch):
    if python_threads:
        monkeypatch.setattr(threads, "_torch_team", lambda: None)
    x, bias = torch.randn(700, 100).requires_grad_(), torch.randn(100).requires_grad_()
    before, found = torch.get_num_threads(), []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            out = shifted_softplus(x, bias)
            found.append((out.detach(), *torch.autograd.grad(out.sin().sum(), (x, bias))))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for one, two in zip(found[0], other):
            assert torch.equal(one, two)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_are_plain_torch(dtype, monkeypatch):
    monkeypatch.setattr(softplus, "_Compiled", None)
    x, bias = torch.randn(5, 4, dtype=dtype), torch.randn(4, dtype=dtype)
    out = shifted_softplus(x, bias)
    assert out.dtype == dtype
    assert torch.equal(out, shifted_softplus(x + bias, compiled=False))


def test_without_a_bias_any_shape_serves():
    x = torch.randn(2, 3, 5, dtype=torch.double).requires_grad_()
    assert torch.autograd.gradcheck(shifted_softplus, (x,))
    assert_close(shifted_softplus(x), x.exp().log1p() - math.log(2), rtol=0, atol=1e-7)
