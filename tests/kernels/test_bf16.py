"""Products of factors rounded to bfloat16: compiled loops against the layers in torch."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gnnpack.kernels import Stencil, atom_values, compiled, has_numba, network, threads
from gnnpack.kernels.cpu_bf16_reference import rounded_linear
from gnnpack.models import SchNet, schnet
from tests.conftest import batch_of, make_source
from tests.kernels.test_network import (
    NAN,
    ORDERS,
    SHAPES,
    SIZES,
    assert_equal,
    full_pack,
    make_case,
    names_of,
    results,
)

if has_numba():
    from gnnpack.kernels import cpu_bf16, cpu_bf16_products, cpu_products

    HAS_INSTRUCTIONS = cpu_bf16.has_instructions()
else:
    HAS_INSTRUCTIONS = False

needs_instructions = pytest.mark.skipif(
    not HAS_INSTRUCTIONS, reason="numba, or AVX-512 BF16, is missing"
)


def rounded(x: Tensor) -> Tensor:
    return x.to(torch.bfloat16).to(x.dtype)


def rms(x: Tensor) -> float:
    return float(x.double().square().mean().sqrt()) if x.numel() else 0.0


def assert_rounds_as(found: list[Tensor], expected: list[Tensor], case: Any) -> None:
    """Within a hundredth of the reference's root mean square, or of a tenth where that is less.

    No closer: where two sums differ in their last bit, one in some ten thousand is rounded to
    another neighbour, and layers behind it carry that on.
    """
    for name, one, two in zip(["values", *names_of(case)], found, expected):
        assert one.shape == two.shape, name
        assert rms(one - two) <= 1e-2 * max(rms(two), 0.1), f"{name}: {rms(one - two)}"


def check(*sizes: Any, **options: Any) -> None:
    case = make_case(*sizes, **options)
    assert_rounds_as(results(case, bf16=True), results(case, bf16=True, compiled=False), case)


# --- the reference ---


def test_the_reference_multiplies_rounded_factors_in_both_passes():
    x, weight = torch.randn(9, 7).requires_grad_(), torch.randn(5, 7).requires_grad_()
    bias, grad = torch.randn(5).requires_grad_(), torch.randn(9, 5)
    out = rounded_linear(x, weight, bias)
    assert torch.equal(out, rounded(x) @ rounded(weight).t() + bias)
    found = torch.autograd.grad(out, (x, weight, bias), grad)
    of_bias = grad.sum(0)
    assert_equal(found, [rounded(grad) @ rounded(weight), rounded(grad).t() @ rounded(x), of_bias])


def test_the_reference_is_torchs_layer_where_nothing_is_rounded():
    x = torch.arange(12.0).view(3, 4).requires_grad_()
    weight, bias = torch.randint(-9, 9, (2, 4)).float().requires_grad_(), torch.tensor([0.5, 1])
    for layer in (rounded_linear, F.linear):
        out = layer(x, weight, bias)
        gradients = torch.autograd.grad(out, (x, weight), torch.full_like(out, 2))
        if layer is rounded_linear:
            expected = [out, *gradients]
    assert_equal([out, *gradients], expected)


@pytest.mark.parametrize("order", ORDERS)
def test_rounding_changes_values_and_gradients_by_a_few_thousandths(order):
    case = make_case((40, 70, 17), order=order)
    exact = results(case, compiled=False)
    for one, two in zip(results(case, bf16=True, compiled=False)[:-1], exact):
        assert 1e-4 * rms(two) < rms(one - two) < 2e-2 * rms(two)


# --- pairs ---


def numbers(rows: int, columns: int, *, length: int, seed: int = 0) -> Tensor:
    """In the corner of longer rows that hold NaN, with numbers that are hard to round."""
    x = torch.full((rows, length), NAN)
    generator = torch.Generator().manual_seed(seed)
    x[:, :columns] = torch.randn(rows, columns, generator=generator)
    # Halfway between two neighbours: up, down, and to infinity.
    ties = torch.tensor([1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, 3.4e38, 0.0, float("inf"), NAN])
    x.view(-1)[::11][: len(ties)] = ties[: len(x.view(-1)[::11])]
    return x


def halves(pairs: np.ndarray) -> Tensor:
    """The bfloat16 numbers (..., 2) of pairs (...), as float32."""
    both = torch.from_numpy(pairs.copy()).view(torch.bfloat16).view(*pairs.shape, 2)
    return both.float()


def same(found: Tensor, expected: Tensor) -> bool:
    return torch.equal(found.nan_to_num(7), expected.nan_to_num(7))


@needs_instructions
@pytest.mark.parametrize("columns", range(1, 49))
def test_pairs_of_columns_are_rounded_as_torch_rounds(columns):
    x = numbers(5, columns, length=48)
    out = np.full((5, 24), 7, np.int32)
    cpu_bf16.pair_columns(x.numpy(), columns, out)
    expected = rounded(x).clone()
    if columns % 2:
        expected[:, columns] = 0
    used = (columns + 1) // 2
    assert same(halves(out[:, :used]), expected[:, : 2 * used].view(5, used, 2))


@needs_instructions
@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("rows", range(1, 14))
def test_pairs_of_rows_are_rounded_as_torch_rounds(rows, in_place):
    x = numbers(rows, 32, length=32)
    expected = torch.cat([rounded(x), torch.zeros(rows % 2, 32)])
    used = (rows + 1) // 2
    out = np.full((used, 32), 7, np.int32)
    if in_place:
        cpu_bf16.pair_rows_in_place(x.numpy())
        out = x.numpy().view(np.int32)[:used]
    else:
        cpu_bf16.pair_rows(x.numpy(), out)
    assert same(halves(out), expected.view(used, 2, 32).transpose(1, 2))


@needs_instructions
def test_numbers_below_the_smallest_normal_one_count_as_0():
    x = np.full((1, 16), 1e-39, np.float32)
    out = np.full((1, 8), 7, np.int32)
    cpu_bf16.pair_columns(x, 16, out)
    assert not out.any()


# --- products ---

ROWS = range(1, 14)
COLUMNS = [1, 7, 16, 33, 50, 64, 70, 100]


def matrix(rows: int, columns: int, length: int, seed: int) -> np.ndarray:
    x = np.full((rows, length), NAN, np.float32)
    x[:, :columns] = np.random.RandomState(seed).randn(rows, columns)
    return x


@needs_instructions
@pytest.mark.parametrize("rows", ROWS)
def test_both_products_are_of_rounded_factors_for_all_that_tiles_leave_over(rows):
    for columns in COLUMNS:
        terms = (columns * 7 + rows) % 37 + 1
        length = cpu_products.whole_vectors(max(columns, terms)) + cpu_products.WIDTH
        whole = cpu_products.whole_vectors(columns)
        room = cpu_bf16_products.room_of_factors(rows, length, True)
        room[:] = -1  # pairs of NaN
        x, w = matrix(rows, terms, length, 1), matrix(terms, whole, length, 2)
        out = np.full((rows + 1, length), 5, np.float32)
        pairs = np.full(w.shape, -1, np.int32)
        cpu_bf16.pair_rows(w, pairs)
        cpu_bf16_products.multiply(x, terms, pairs, out[:rows], columns, room)
        left, right = (rounded(torch.from_numpy(t)).double().numpy() for t in (x, w))
        exact = 5 + left[:, :terms] @ right[:, :columns]
        np.testing.assert_allclose(out[:rows, :columns], exact, rtol=1e-5, atol=1e-5)
        assert (out[:rows, whole:] == 5).all()
        assert (out[rows:] == 5).all()

        grad, x = matrix(rows, terms, length, 3), matrix(rows, whole, length, 4)
        out = np.full((terms + 1, length), 5, np.float32)
        cpu_bf16_products.multiply_outer(grad, terms, x, columns, out, room)
        left, right = (rounded(torch.from_numpy(t)).double().numpy() for t in (grad, x))
        exact = 5 + left[:, :terms].T @ right[:, :columns]
        np.testing.assert_allclose(out[:terms, :columns], exact, rtol=1e-5, atol=1e-5)
        assert (out[:terms, whole:] == 5).all()
        assert (out[terms:] == 5).all()


# --- the network ---


@needs_instructions
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("num_blocks", [1, 2, 4])
@pytest.mark.parametrize("sizes", [*SIZES, (99, 101, 49)], ids=str)
def test_values_and_every_gradient_are_the_references(sizes, num_blocks, order):
    check(sizes, num_blocks, order)


@needs_instructions
@pytest.mark.parametrize("order", ORDERS)
@given(
    channels=st.tuples(st.integers(2, 40), st.integers(1, 40), st.integers(1, 40)),
    packs=st.integers(1, 40),
    slots=st.integers(1, 40),
    seed=st.integers(0, 1000),
)
@settings(max_examples=20, deadline=None, derandomize=True, database=None)
def test_they_are_for_packs_of_any_shape(order, channels, packs, slots, seed):
    check(channels, 2, order, packs=packs, slots=slots, seed=seed)


@needs_instructions
@pytest.mark.parametrize("packs, slots", SHAPES)
def test_they_are_however_packs_are_shared_out(packs, slots):
    check((7, 20, 5), 2, packs=packs, slots=slots, pairs=0.1)


@needs_instructions
@pytest.mark.parametrize("order", ORDERS)
def test_where_no_sum_is_rounded_otherwise_results_agree_to_float32(order):
    """As most small cases do, so all factors are rounded, and none of the rest."""
    errors = []
    for seed in range(9):
        case = make_case((5, 9, 3), 2, order, packs=2, slots=7, seed=seed)
        pairs = zip(results(case, bf16=True), results(case, bf16=True, compiled=False))
        errors.append(max(float((one - two).abs().max()) for one, two in pairs))
    assert sorted(errors)[4] < 1e-5, errors


@needs_instructions
@pytest.mark.parametrize("python_threads", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_the_number_of_threads_changes_no_bit(order, python_threads, monkeypatch, torch_threads):
    if python_threads:
        monkeypatch.setattr(threads, "_torch_team", lambda: None)
    case, found = make_case((40, 41, 20), 3, order, packs=100, slots=23), []
    for number in (1, 2, 3):
        torch_threads(number)
        found.append(results(case, bf16=True))
    for other in found[1:]:
        assert_equal(other, found[0])


@needs_instructions
def test_nothing_is_read_before_it_is_written():
    case = make_case((7, 19, 5), packs=60, slots=23)
    expected, before = results(case, bf16=True), torch.are_deterministic_algorithms_enabled()
    try:
        # From torch 2.2 on tensors without values of their own are then full of NaN.
        torch.use_deterministic_algorithms(True)
        found = results(case, bf16=True)
    finally:
        torch.use_deterministic_algorithms(before)
    assert_equal(found, expected)


@needs_instructions
@pytest.mark.parametrize("order", ORDERS)
def test_nan_in_one_pack_stays_there(order):
    case, _, pairs = full_pack(order)
    clean = atom_values(*case, bf16=True)
    with torch.no_grad():
        case.stencil.weights[pairs].fill_(NAN)
    values = atom_values(*case, bf16=True)
    inside = torch.zeros(len(values), dtype=torch.bool)
    inside[case.stencil.first[pairs].long()] = inside[case.stencil.second[pairs].long()] = True
    assert values[inside].isnan().all()
    assert torch.equal(values[~inside], clean[~inside])


@needs_instructions
def test_a_packs_values_are_those_it_has_alone():
    packs, slots = 60, 23
    case = make_case((7, 19, 5), packs=packs, slots=slots)
    values = atom_values(*case, bf16=True).view(packs, slots)
    first, second, offsets, *rows = case.stencil
    for pack in (0, 7, 31, 59):
        pairs = slice(int(offsets[pack]), int(offsets[pack + 1]))
        atoms = [ends[pairs] - pack * slots for ends in (first, second)]
        alone = Stencil(*atoms, offsets[pack : pack + 2] - offsets[pack], *(t[pairs] for t in rows))
        z = case.z.view(packs, slots)[pack]
        found = atom_values(*case._replace(z=z, stencil=alone), bf16=True)
        assert torch.equal(found[:, 0], values[pack])


# --- under autocast ---


def make_model(**options: Any) -> SchNet:
    torch.manual_seed(3)
    return SchNet(24, 2, 8, 3.0, filter="tabulated", **options)


def autocast() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


def train(model: SchNet, updates: int = 4) -> list[Tensor]:
    """Weights after updates by momentum, whose steps are as smooth as their gradients."""
    batch = batch_of(make_source(30))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    for _ in range(updates):
        optimizer.zero_grad()
        with autocast():
            loss = (model(batch) - batch.target).square().mean()
        loss.backward()
        optimizer.step()
    return [parameter.detach().clone() for parameter in model.parameters()]


@needs_instructions
def test_updates_under_autocast_are_those_of_the_reference(monkeypatch):
    before = [parameter.detach().clone() for parameter in make_model().parameters()]
    found = train(make_model())
    values = schnet.atom_values
    monkeypatch.setattr(
        schnet, "atom_values", lambda *a, **options: values(*a, **{**options, "compiled": False})
    )
    expected = train(make_model())
    monkeypatch.setattr(
        schnet, "atom_values", lambda *a, **options: values(*a, **{**options, "bf16": False})
    )
    exact = train(make_model())
    moved = [rms(one - two) for one, two in zip(exact, before)]
    assert all(moved)
    for one, two, wide, way in zip(found, expected, exact, moved):
        assert one.dtype == torch.float32
        assert rms(one - two) <= 1e-3 * way
        assert 2e-4 * way <= rms(one - wide) <= 0.1 * way


def calls_of(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, bool]]:
    """(compiled, bf16) of each call; within it no autocast is to be asked for."""
    found: list[tuple[bool, bool]] = []
    values = network.atom_values

    def noted(*arguments: Any, compiled: bool, bf16: bool) -> Tensor:
        found.append((compiled, bf16))
        return values(*arguments, compiled=compiled, bf16=bf16)

    monkeypatch.setattr(schnet, "atom_values", noted)
    return found


@pytest.mark.skipif(not has_numba(), reason="without numba nothing is compiled")
@pytest.mark.parametrize("present", [False, True])
def test_autocast_is_left_to_the_compiled_network_where_a_processor_has_it(
    present, monkeypatch, caplog
):
    if present and not HAS_INSTRUCTIONS:
        pytest.skip("AVX-512 BF16 is missing")
    monkeypatch.setattr("gnnpack.kernels.cpu_bf16.has_instructions", lambda: present)
    compiled.has_bf16.cache_clear()
    batch, calls = batch_of(make_source(30)), calls_of(monkeypatch)
    model = make_model()
    exact = model(batch)
    with autocast(), caplog.at_level(logging.WARNING):
        for _ in range(3):
            energies = model(batch)
    compiled.has_bf16.cache_clear()
    assert calls == [(True, False), *[(True, present)] * 3]
    assert energies.dtype == torch.float32
    assert torch.equal(energies, exact) != present
    assert caplog.text.count("has no instructions for bfloat16") == (not present)


FLOAT16 = pytest.param(
    "float16",
    marks=pytest.mark.skipif(
        torch.__version__.startswith("2.0."), reason="torch 2.0 has no float16 autocast on a CPU"
    ),
)


@pytest.mark.parametrize("way", ["compiled=False", FLOAT16, "float64"])
def test_all_else_under_autocast_is_plain_torchs(way, monkeypatch):
    calls = calls_of(monkeypatch)
    model = make_model(compiled=way != "compiled=False")
    if way == "float64":
        model.double()
    asked = torch.float16 if way == "float16" else torch.bfloat16
    with torch.autocast("cpu", asked):
        energies = model(batch_of(make_source(30)))
    assert energies.isfinite().all()
    assert calls == [(way != "compiled=False", False)]


@needs_instructions
def test_positions_have_their_gradient_under_autocast():
    """From plain torch, which rounds the same factors."""
    batch, model, found = batch_of(make_source(12)), make_model(), []
    for enabled in (True, False):
        pos = batch.pos.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            energy = model(batch._replace(pos=pos)).sum()
        found.append(torch.autograd.grad(energy, pos)[0])
    assert 0 < rms(found[0] - found[1]) < 0.05 * rms(found[1])
