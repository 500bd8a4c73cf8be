"""Tables from filter networks: compiled loops against plain torch, and that against calculus."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from gnnpack.kernels import ROWS, FilterNetwork, Knots, filter_networks, filter_tables, threads
from gnnpack.kernels.softplus import LN2

ORDERS = sorted(ROWS)
NAMES = FilterNetwork._fields


def make_case(
    gaussians: int = 25,
    channels: int = 7,
    networks: int = 3,
    order: str = "cubic",
    *,
    num_knots: int = 13,
    dtype: torch.dtype = torch.float,
) -> tuple[Knots, list[FilterNetwork]]:
    """Random knots and networks; the same in all precisions."""
    generator = torch.Generator().manual_seed(gaussians + channels)

    def numbers(*shape: int, terms: int = 1) -> Tensor:
        drawn = torch.randn(shape, generator=generator).div_(terms**0.5)
        return drawn.to(dtype)

    rows = num_knots * ROWS[order]
    knots = Knots(numbers(rows, gaussians), numbers(num_knots, 1), numbers(num_knots, 1))
    layers = [
        FilterNetwork(
            numbers(channels, gaussians, terms=gaussians).requires_grad_(),
            numbers(channels).requires_grad_(),
            numbers(channels, channels, terms=channels).requires_grad_(),
            numbers(channels).requires_grad_(),
        )
        for _ in range(networks)
    ]
    return knots, layers


def parameters_of(networks: list[FilterNetwork]) -> list[Tensor]:
    return [parameter for network in networks for parameter in network]


def results(knots: Knots, networks: list[FilterNetwork], **options: Any) -> list[Tensor]:
    """Tables, and the gradients of all parameters from two backward passes."""
    tables = filter_tables(knots, networks, **options)
    parameters, loss = parameters_of(networks), tables.sin().sum()
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
    for one, two in zip(gradients, torch.autograd.grad(loss, parameters)):
        assert torch.equal(one, two), "a second backward pass gives another gradient"
    return [tables.detach(), *gradients]


def assert_near(found: list[Tensor], exact: list[Tensor], tolerance: float = 5e-6) -> None:
    """Each tensor within ``tolerance`` of its largest number, or of 1: what its sums' terms are."""
    assert len(found) == len(exact)
    names = ["tables", *(f"{name} {i // 4}" for i, name in enumerate(NAMES * (len(exact) // 4)))]
    for name, one, two in zip(names, found, exact):
        assert one.shape == two.shape, name
        error = (one.double() - two.double()).abs().max() / two.abs().max().clamp(min=1)
        assert error <= tolerance, f"{name}: {float(error)}"


def one_by_one(knots: Knots, networks: list[FilterNetwork]) -> Tensor:
    """Networks as they are written down; slopes are derivatives along a line through each knot."""
    num_knots, tables = len(knots.envelope), []
    basis, slope = knots.basis[:num_knots], knots.basis[num_knots:]
    for weight_1, bias_1, weight_2, bias_2 in networks:

        def filters(t: Tensor, layers: Any = (weight_1, bias_1, weight_2, bias_2)) -> Tensor:
            inner = F.linear(basis + t * slope if len(slope) else basis, *layers[:2])
            value = F.linear(inner.exp().log1p() - LN2, *layers[2:])
            return value * (knots.envelope + t * knots.envelope_slope)

        start = torch.zeros((), dtype=basis.dtype)
        rows = torch.autograd.functional.jvp(filters, start, torch.ones_like(start))
        tables.append(torch.stack(rows if len(slope) else rows[:1], 1))
    return torch.stack(tables)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("networks", [1, 3])
def test_the_reference_is_each_network_and_its_slope(order, networks):
    case = make_case(9, 5, networks, order, dtype=torch.double)
    assert_close(filter_tables(*case), one_by_one(*case), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("order", ORDERS)
def test_the_references_gradients_are_those_of_finite_differences(order):
    knots, networks = make_case(4, 3, 2, order, num_knots=3, dtype=torch.double)

    def tables(*parameters: Tensor) -> Tensor:
        layers = [FilterNetwork(*parameters[i : i + 4]) for i in range(0, len(parameters), 4)]
        return filter_tables(knots, layers)

    assert torch.autograd.gradcheck(tables, parameters_of(networks))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("networks", [1, 3])
@pytest.mark.parametrize("channels", [1, 7, 16, 100])
@pytest.mark.parametrize("gaussians", [2, 25, 33])
def test_values_and_all_gradients_equal_the_reference(gaussians, channels, networks, order):
    sizes = gaussians, channels, networks, order
    exact = results(*make_case(*sizes, dtype=torch.double))
    assert_near(results(*make_case(*sizes)), exact)
    assert_near(results(*make_case(*sizes), compiled=False), exact)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("num_knots", [1, 2, 112])
def test_any_number_of_knots_serves(order, num_knots):
    case = make_case(order=order, num_knots=num_knots)
    exact = results(*make_case(order=order, num_knots=num_knots, dtype=torch.double))
    assert_near(results(*case), exact)


def test_float32_on_a_cpu_is_the_compiled_function(monkeypatch):
    monkeypatch.setattr(filter_networks, "_Compiled", None)
    with pytest.raises(AttributeError):
        filter_tables(*make_case())


@pytest.mark.parametrize("way", ["compiled=False", "float64", "autocast", "without numba"])
def test_all_else_is_the_reference(way, monkeypatch):
    monkeypatch.setattr(filter_networks, "_Compiled", None)
    if way == "without numba":
        monkeypatch.setattr("gnnpack.kernels.compiled.has_numba", lambda: False)
    case = make_case(dtype=torch.double if way == "float64" else torch.float)
    with torch.autocast("cpu", torch.bfloat16, enabled=way == "autocast"):
        found = results(*case, compiled=way != "compiled=False")
    exact = results(*make_case(dtype=torch.double), compiled=False)
    assert_near(found, exact, 0.05 if way == "autocast" else 5e-6)


def test_one_parameter_of_another_precision_is_enough_for_the_reference(monkeypatch):
    monkeypatch.setattr(filter_networks, "_Compiled", None)
    knots, networks = make_case()
    wide = [FilterNetwork(*(p.detach().double() for p in network)) for network in networks]
    with pytest.raises(RuntimeError, match=r"dtype|scalar type"):
        filter_tables(knots, [*networks[:-1], wide[-1]])


def test_tensors_that_do_not_lie_row_by_row_serve():
    knots, networks = make_case()
    strided = [
        FilterNetwork(*(p.detach().repeat_interleave(2, -1)[..., ::2].requires_grad_() for p in n))
        for n in networks
    ]
    turned = Knots(*(tensor.repeat_interleave(2, 0)[::2] for tensor in knots))
    assert not any(t.is_contiguous() for t in (*turned, *parameters_of(strided)))
    for one, two in zip(results(turned, strided), results(knots, networks)):
        assert torch.equal(one, two)


def test_a_gradient_that_is_one_number_spread_out_serves():
    knots, networks = make_case()
    tables, parameters = filter_tables(knots, networks), parameters_of(networks)
    spread = torch.autograd.grad(tables.sum(), parameters, retain_graph=True)
    ones = torch.autograd.grad(tables, parameters, torch.ones_like(tables))
    for one, two in zip(spread, ones):
        assert torch.equal(one, two)


@pytest.mark.parametrize("frozen", [*NAMES, "all of the first"])
def test_frozen_weights_have_no_gradient_and_the_others_theirs(frozen):
    knots, networks = make_case()
    _, *expected = results(knots, networks)
    still = [frozen] if frozen in NAMES else NAMES
    for name in still:
        getattr(networks[0], name).requires_grad_(False)
    filter_tables(knots, networks).sin().sum().backward()
    for i, (parameter, grad) in enumerate(zip(parameters_of(networks), expected)):
        if i < len(NAMES) and NAMES[i] in still:
            assert parameter.grad is None
        else:
            assert torch.equal(parameter.grad, grad)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_inference_gives_the_same_bits(mode):
    case = make_case()
    training = filter_tables(*case)
    with mode():
        assert torch.equal(filter_tables(*case), training)


def test_weights_written_to_after_the_forward_pass_leave_its_gradients_alone():
    knots, networks = make_case()
    parameters, expected = parameters_of(networks), results(knots, networks)
    tables = filter_tables(knots, networks)
    with torch.no_grad():
        for parameter in parameters:
            parameter.fill_(9)
    for one, two in zip(torch.autograd.grad(tables.sin().sum(), parameters), expected[1:]):
        assert torch.equal(one, two)


def test_no_argument_is_written_to():
    knots, networks = make_case()
    given = [*knots, *parameters_of(networks)]
    before = [tensor.detach().clone() for tensor in given]
    results(knots, networks)
    for one, two in zip(given, before):
        assert torch.equal(one, two)


@pytest.mark.parametrize("order", ORDERS)
def test_nothing_is_read_before_it_is_written(order):
    case = make_case(25, 20, 2, order)
    expected, before = results(*case), torch.are_deterministic_algorithms_enabled()
    try:
        # From torch 2.2 on tensors without values of their own are then full of NaN.
        torch.use_deterministic_algorithms(True)
        found = results(*case)
    finally:
        torch.use_deterministic_algorithms(before)
    for one, two in zip(found, expected):
        assert torch.equal(one, two)


@pytest.mark.parametrize("name", NAMES)
def test_nan_in_one_network_stays_there(name):
    knots, networks = make_case()
    clean = filter_tables(knots, networks)
    with torch.no_grad():
        getattr(networks[1], name).view(-1)[-1] = float("nan")
    tables = filter_tables(knots, networks)
    # The last number of the second layer's parameters reaches one channel, of the first all.
    reached = slice(-1, None) if name.endswith("2") else slice(None)
    assert tables[1, ..., reached].isnan().all()
    assert torch.equal(tables[[0, 2]], clean[[0, 2]])


@pytest.mark.parametrize("python_threads", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_the_number_of_threads_changes_no_bit(order, python_threads, monkeypatch):
    if python_threads:
        monkeypatch.setattr(threads, "_torch_team", lambda: None)
    case, before, found = make_case(25, 100, 4, order), torch.get_num_threads(), []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            found.append(results(*case))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for one, two in zip(found[0], other):
            assert torch.equal(one, two)
