"""The products of a dense layer, by either library, against float64."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from gnnpack.kernels import matmul

# rows, inputs, outputs
SIZES = [(1, 1, 1), (1, 100, 3), (5, 3, 7), (33, 17, 16), (64, 16, 50), (257, 100, 100), (31, 1, 9)]
LIBRARIES = ["the faster one", "torch.mm"]


@pytest.fixture(params=LIBRARIES)
def library(request, monkeypatch):
    if request.param == "torch.mm":
        monkeypatch.setattr(matmul, "_onednn_wins", lambda: False)


def products(x, weight, grad):
    return (
        matmul.rows_times_transposed(x, weight),
        matmul.rows_times(grad, weight),
        matmul.weight_gradient(grad, x),
    )


def tensors(A: int, I: int, O: int, dtype=torch.float32):  # noqa: E741 - dimensions' names
    return [torch.randn(shape).to(dtype) for shape in ((A, I), (O, I), (A, O))]


def check(found, x, weight, grad):
    wide_x, wide_weight, wide_grad = (tensor.double() for tensor in (x, weight, grad))
    expected = wide_x @ wide_weight.t(), wide_grad @ wide_weight, wide_grad.t() @ wide_x
    for one, two in zip(found, expected):
        assert one.shape == two.shape
        assert one.is_contiguous()
        assert one.dtype == x.dtype
        assert_close(one.double(), two, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.usefixtures("library")
def test_products_are_those_of_matrices(sizes, dtype):
    given = tensors(*sizes, dtype)
    check(products(*given), *given)


@pytest.mark.parametrize("sizes", SIZES[2:5], ids=str)
@pytest.mark.usefixtures("library")
def test_matrices_that_do_not_lie_row_by_row_serve(sizes):
    given = [tensor.t().contiguous().t() for tensor in tensors(*sizes)]
    check(products(*given), *given)
    given = [torch.repeat_interleave(tensor, 2, 1)[:, ::2] for tensor in tensors(*sizes)]
    check(products(*given), *given)


@pytest.mark.usefixtures("library")
def test_without_rows_the_weights_gradient_is_0():
    x, weight, grad = tensors(0, 5, 3)
    forward, back, gradient = products(x, weight, grad)
    assert forward.shape == (0, 3)
    assert back.shape == (0, 5)
    assert torch.equal(gradient, torch.zeros(3, 5))


@pytest.mark.usefixtures("library")
def test_inputs_are_left_alone_and_repeats_are_the_same():
    given = tensors(33, 17, 16)
    before = [tensor.clone() for tensor in given]
    first, second = products(*given), products(*given)
    for one, two in zip([*given, *first], [*before, *second]):
        assert torch.equal(one, two)


@pytest.mark.usefixtures("library")
def test_nan_and_infinity_come_through():
    x, weight, grad = tensors(5, 3, 7)
    x[2, 1], grad[4, 6] = float("nan"), float("inf")
    forward, back, gradient = products(x, weight, grad)
    assert forward[2].isnan().all()
    assert not back[4].isfinite().any()
    assert gradient[:, 1].isnan().all()
    assert not gradient[6].isfinite().any()


def test_a_torch_without_the_faster_library_multiplies_by_torch_mm(monkeypatch):
    def absent(*arguments):
        raise RuntimeError("no such operator")

    matmul._onednn_wins.cache_clear()
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", absent, raising=False)
    try:
        assert not matmul._onednn_wins()
        given = tensors(5, 3, 7)
        check(products(*given), *given)
    finally:
        matmul._onednn_wins.cache_clear()
