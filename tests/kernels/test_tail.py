"""The end of a block as one function, against its layers one by one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from gnnpack.kernels import block_tail, tail, threads

NAMES = ("messages", "features", "weight_1", "bias_1", "weight_2", "bias_2", "next_weight")
# Atoms A, channels of the convolution C, of the atoms F, of the next layer O
SIZES = [(1, 1, 2, 1), (5, 3, 7, 4), (33, 16, 16, 16), (40, 20, 17, 9), (60, 100, 100, 50)]
OUTPUTS = {
    "both": lambda features, ahead: features.sin().sum() + ahead.cos().sum(),
    "features alone": lambda features, ahead: features.sin().sum(),
    "the next layer alone": lambda features, ahead: ahead.cos().sum(),
}


def arguments_of(sizes: tuple[int, int, int, int], dtype: torch.dtype = torch.float32):
    A, C, F, O = sizes  # noqa: E741 - the dimension's name
    shapes = (A, C), (A, F), (F, C), (F,), (F, F), (F,), (O, F)
    generator = torch.Generator().manual_seed(sum(sizes))
    return [
        torch.randn(shape, generator=generator, dtype=torch.double)
        .div(shape[-1] ** 0.5)
        .to(dtype)
        .requires_grad_()
        for shape in shapes
    ]


def by_layers(messages, features, weight_1, bias_1, weight_2, bias_2, next_weight):
    """As the layers are written down."""
    inner = F.softplus(F.linear(messages, weight_1, bias_1)) - torch.tensor(2.0).log().item()
    features = features + F.linear(inner, weight_2, bias_2)
    return features, F.linear(features, next_weight)


def results(function, arguments, loss=OUTPUTS["both"], **options):
    out = function(*arguments, **options)
    gradients = torch.autograd.grad(loss(*out), arguments, allow_unused=True, retain_graph=True)
    again = torch.autograd.grad(loss(*out), arguments, allow_unused=True)
    for first, second in zip(gradients, again):
        assert (first is None and second is None) or torch.equal(first, second)
    return [tensor.detach() for tensor in out], gradients


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("used", OUTPUTS)
def test_values_and_all_gradients_equal_the_layers(sizes, used):
    arguments = arguments_of(sizes)
    wide = [argument.detach().double().requires_grad_() for argument in arguments]
    out, gradients = results(block_tail, arguments, OUTPUTS[used])
    expected, expected_gradients = results(by_layers, wide, OUTPUTS[used])
    for one, two in zip(out, expected):
        assert_close(one.double(), two, rtol=1e-5, atol=1e-5)
    for name, one, two in zip(NAMES, gradients, expected_gradients):
        if two is None:
            assert one is None, name
        else:
            assert_close(one.double(), two, rtol=2e-5, atol=2e-5, msg=lambda m, n=name: f"{n}: {m}")


def test_float32_on_a_cpu_is_the_compiled_function(monkeypatch):
    monkeypatch.setattr(tail, "_Compiled", None)
    with pytest.raises(AttributeError):
        block_tail(*arguments_of(SIZES[1]))


@pytest.mark.parametrize("way", ["compiled=False", "float64", "autocast", "without numba"])
def test_all_else_is_the_reference(way, monkeypatch):
    monkeypatch.setattr(tail, "_Compiled", None)
    if way == "without numba":
        monkeypatch.setattr("gnnpack.kernels.softplus.has_numba", lambda: False)
    arguments = arguments_of(SIZES[1], torch.double if way == "float64" else torch.float)
    with torch.autocast("cpu", torch.bfloat16, enabled=way == "autocast"):
        out, gradients = results(block_tail, arguments, compiled=way != "compiled=False")
        expected, expected_gradients = results(by_layers, arguments)
    exact = {"autocast": 0.05, "float64": 1e-7}.get(way, 1e-6)
    if way == "autocast":
        assert out[1].dtype == torch.bfloat16
    for one, two in zip([*out, *gradients], [*expected, *expected_gradients]):
        assert_close(one, two, rtol=exact, atol=exact)


def test_float64_gradients_are_those_of_finite_differences():
    arguments = arguments_of(SIZES[1], torch.double)
    assert torch.autograd.gradcheck(block_tail, arguments)


def test_no_argument_is_written_to():
    arguments = arguments_of(SIZES[3])
    before = [argument.detach().clone() for argument in arguments]
    results(block_tail, arguments)
    for one, two in zip(arguments, before):
        assert torch.equal(one, two)


def test_tensors_that_do_not_lie_row_by_row_serve():
    arguments = arguments_of(SIZES[3])
    strided = [
        torch.repeat_interleave(argument.detach(), 2, -1)[..., ::2].requires_grad_()
        for argument in arguments
    ]
    assert not any(argument.is_contiguous() for argument in strided)
    out, gradients = results(block_tail, strided)
    expected, expected_gradients = results(block_tail, arguments)
    for one, two in zip([*out, *gradients], [*expected, *expected_gradients]):
        assert_close(one, two, rtol=1e-6, atol=1e-6)


def test_no_atoms_at_all():
    arguments = arguments_of((0, 3, 7, 4))
    (features, ahead), gradients = results(block_tail, arguments)
    assert features.shape == (0, 7)
    assert ahead.shape == (0, 4)
    assert not any(gradient.any() for gradient in gradients)


def test_nan_is_not_swallowed():
    arguments = arguments_of(SIZES[2])
    with torch.no_grad():
        arguments[0][3, 5] = float("nan")
    features, ahead = block_tail(*arguments)
    assert features[3].isnan().all()
    assert ahead[3].isnan().all()
    assert features[2].isfinite().all()


@pytest.mark.parametrize("python_threads", [False, True])
def test_the_number_of_threads_changes_results_by_no_more_than_a_product_of_matrices(
    python_threads, monkeypatch
):
    """The loops keep their bits; how a library shares a matrix product out is its own affair."""
    if python_threads:
        monkeypatch.setattr(threads, "_torch_team", lambda: None)
    arguments, before, found = arguments_of((300, 100, 100, 50)), torch.get_num_threads(), []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            found.append(results(block_tail, arguments))
    finally:
        torch.set_num_threads(before)
    for out, gradients in found[1:]:
        for one, two in zip([*found[0][0], *found[0][1]], [*out, *gradients]):
            assert_close(one, two, rtol=1e-5, atol=1e-5)


def test_frozen_weights_need_no_gradient():
    arguments: list[Tensor] = arguments_of(SIZES[1])
    frozen = [argument.detach() for argument in arguments[2:]]
    moving = arguments[:2]
    out = block_tail(*moving, *frozen)
    expected = by_layers(*moving, *frozen)
    for one, two in zip(
        torch.autograd.grad(OUTPUTS["both"](*out), moving),
        torch.autograd.grad(OUTPUTS["both"](*expected), moving),
    ):
        assert_close(one, two, rtol=2e-5, atol=2e-5)
