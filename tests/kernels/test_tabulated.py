"""The convolution with tabulated filters: compiled loops against plain torch, and physics."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from gnnpack.kernels import (
    ROWS,
    Stencil,
    find_pairs,
    interpolate,
    make_stencil,
    tabulated,
    tabulated_convolution,
    threads,
)
from tests.conftest import PACKERS, batch_of, make_source

CUTOFF = 3.0
ORDERS = sorted(ROWS)
# A vector of 16, one of 4, single channels, and their mixtures.
CHANNELS = [1, 3, 4, 7, 16, 17, 20, 100]


def make_case(
    seed: int = 0,
    channels: int = 7,
    order: str = "cubic",
    *,
    packer=PACKERS[0],
    num_knots: int = 12,
    dtype: torch.dtype = torch.double,
    molecules: int = 10,
    cutoff: float = CUTOFF,
) -> tuple[Tensor, Tensor, Stencil]:
    batch = batch_of(make_source(molecules, seed), packer)
    pos = batch.pos.to(dtype)
    pairs = find_pairs(pos, batch.molecule_slot, batch.atom_mask, cutoff)
    generator = torch.Generator().manual_seed(seed)
    shapes = (batch.z.numel(), channels), (num_knots, ROWS[order], channels)
    features, table = (
        torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes
    )
    stencil = make_stencil(pairs, cutoff, num_knots, ROWS[order])
    return features, table, stencil._replace(weights=stencil.weights.detach().requires_grad_())


def results(features: Tensor, table: Tensor, stencil: Stencil, *, compiled: bool = True):
    """Messages and their gradients in features, table and weights."""
    out = tabulated_convolution(features, table, stencil, compiled=compiled)
    inputs = features, table, stencil.weights
    return out.detach(), *torch.autograd.grad(out.sin().sum(), inputs)


def plain(features: Tensor, table: Tensor, stencil: Stencil):
    return results(features, table, stencil, compiled=False)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("channels", CHANNELS)
@given(seed=st.integers(0, 500), packer=st.sampled_from(PACKERS), num_knots=st.integers(2, 40))
@settings(max_examples=6, deadline=None)
def test_compiled_equals_the_reference_with_gradients(order, channels, seed, packer, num_knots):
    case = make_case(seed, channels, order, packer=packer, num_knots=num_knots)
    for fast, slow in zip(results(*case), plain(*case)):
        assert_close(fast, slow, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("channels", [3, 20, 100])
def test_float32_is_within_rounding_of_float64(order, channels):
    case = make_case(4, channels, order, dtype=torch.float)
    features, table, stencil = case
    exact = results(
        features.double(), table.double(), stencil._replace(weights=stencil.weights.double())
    )
    for single, double in zip(results(*case), exact):
        assert single.dtype == torch.float32
        # Sums of some dozen terms of about 1.
        assert_close(single.double(), double, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("order", ORDERS)
def test_each_atom_gathers_its_neighbours(order, compiled):
    """A loop over pairs, both ways."""
    features, table, stencil = make_case(3, 5, order)
    filters = interpolate(table, stencil.knots, stencil.weights)
    by_hand = torch.zeros_like(features)
    for e, (i, j) in enumerate(zip(stencil.first.tolist(), stencil.second.tolist())):
        by_hand[i] += features[j] * filters[e]
        by_hand[j] += features[i] * filters[e]
    assert_close(tabulated_convolution(features, table, stencil, compiled=compiled), by_hand)


@pytest.mark.parametrize("compiled", [True, False])
def test_gradients_are_those_of_finite_differences(compiled):
    features, table, stencil = make_case(2, 3, num_knots=5, molecules=3)

    def out(features: Tensor, table: Tensor, weights: Tensor) -> Tensor:
        filled = stencil._replace(weights=weights)
        return tabulated_convolution(features, table, filled, compiled=compiled)

    assert torch.autograd.gradcheck(out, (features, table, stencil.weights), fast_mode=True)


@pytest.mark.parametrize("compiled", [True, False])
def test_positions_follow_finite_differences_through_pairs_and_stencil(compiled):
    batch = batch_of(make_source(4))
    features, table, _ = make_case(0, 3, num_knots=9, molecules=4)
    # As the cutoff function leaves it: nothing beyond, and no corner there.
    table = table.detach().clone()
    table[-1] = 0
    features = torch.randn(batch.z.numel(), 3, dtype=torch.double)

    def energy(pos: Tensor) -> Tensor:
        pairs = find_pairs(pos, batch.molecule_slot, batch.atom_mask, CUTOFF, compiled=compiled)
        stencil = make_stencil(pairs, CUTOFF, 9, 2)
        return tabulated_convolution(features, table, stencil, compiled=compiled).sin().sum()

    pos = batch.pos.double().requires_grad_()
    assert torch.autograd.gradcheck(energy, (pos,))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("python_threads", [False, True])
def test_the_number_of_threads_changes_no_bit(order, python_threads, monkeypatch, torch_threads):
    if python_threads:
        monkeypatch.setattr(threads, "_torch_team", lambda: None)
    # Large enough for torch to share out the sums, too.
    case = make_case(6, 100, order, molecules=60, num_knots=120, dtype=torch.float)
    found = []
    for number in (1, 2, 3):
        torch_threads(number)
        found.append(results(*case))
    for other in found[1:]:
        for one, two in zip(found[0], other):
            assert torch.equal(one, two)


def test_the_same_call_gives_the_same_bits():
    case = make_case(7, 20, dtype=torch.float)
    for one, two in zip(results(*case), results(*case)):
        assert torch.equal(one, two)


@pytest.mark.parametrize("order", ORDERS)
def test_no_pairs_at_all_is_no_message_and_no_gradient(order):
    case = make_case(1, 20, order, cutoff=1e-6)
    assert len(case[2].first) == 0
    for compiled in (True, False):
        out, *gradients = results(*case, compiled=compiled)
        assert out.shape == case[0].shape
        assert not out.any()
        assert not any(gradient.any() for gradient in gradients)


@pytest.mark.parametrize("num_packs", [1, 2, 15, 16, 17, 40])
@pytest.mark.parametrize("empty", ["first", "last", "every other"])
def test_packs_without_pairs_are_left_out(num_packs, empty):
    """Fewer packs than tasks, as many, more; some of them empty."""
    slots, generator = 5, torch.Generator().manual_seed(num_packs)
    full = {"first": range(1, num_packs), "last": range(num_packs - 1)}.get(
        empty, range(0, num_packs, 2)
    )
    first = torch.tensor([p * slots + k for p in full for k in (0, 1, 3)], dtype=torch.int32)
    counts = torch.tensor([3 * (p in full) for p in range(num_packs)])
    stencil = Stencil(
        first,
        first + 1,
        torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)]),
        torch.randint(0, 8, first.shape, generator=generator).int(),
        torch.randn(len(first), 4, generator=generator, dtype=torch.double).requires_grad_(),
    )
    features = torch.randn(num_packs * slots, 6, generator=generator, dtype=torch.double)
    table = torch.randn(9, 2, 6, generator=generator, dtype=torch.double)
    case = features.requires_grad_(), table.requires_grad_(), stencil
    for fast, slow in zip(results(*case), plain(*case)):
        assert_close(fast, slow)


def test_a_batch_without_packs_has_no_messages():
    none = torch.empty(0, dtype=torch.int32)
    stencil = Stencil(none, none, torch.zeros(1, dtype=torch.int64), none, torch.empty(0, 4))
    features = torch.empty(0, 6, requires_grad=True)
    table = torch.randn(9, 2, 6, requires_grad=True)
    out = tabulated_convolution(features, table, stencil)
    assert out.shape == (0, 6)
    out.sum().backward()
    assert not table.grad.any()


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("poison", ["features", "table", "weights"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinity_are_not_swallowed(compiled, poison, value):
    features, table, stencil = make_case(2, 21)
    i, j, knot = stencil.first[0], stencil.second[0], stencil.knots[0]
    with torch.no_grad():
        place = {"features": features[i], "table": table[knot, 0], "weights": stencil.weights[0]}
        place[poison].fill_(value)
    out = tabulated_convolution(features, table, stencil, compiled=compiled)
    assert not out[j].isfinite().any()


def test_nan_in_the_gradient_is_not_swallowed():
    features, table, stencil = make_case(2, 21)
    out = tabulated_convolution(features, table, stencil)
    seed = torch.ones_like(out)
    seed[stencil.first[0]] = float("nan")
    grad_features, grad_table = torch.autograd.grad(out, (features, table), seed)
    assert grad_features[stencil.second[0]].isnan().all()
    assert grad_table[stencil.knots[0]].isnan().all()


def test_unused_knots_have_no_gradient_and_fillers_no_message():
    features, table, stencil = make_case(5, 4, num_knots=200)
    out, _, grad_table, _ = results(features, table, stencil)
    used = torch.zeros(200, dtype=torch.bool)
    used[stencil.knots.long()] = used[stencil.knots.long() + 1] = True
    assert not used.all()
    assert not grad_table[~used].any()
    alone = torch.ones(len(out), dtype=torch.bool)
    alone[stencil.first.long()] = alone[stencil.second.long()] = False
    assert alone.any()
    assert not out[alone].any()


def test_tensors_that_do_not_lie_row_by_row_serve():
    features, table, stencil = make_case(3, 10)
    expected = results(features, table, stencil)
    strided = (
        features.detach().t().contiguous().t().requires_grad_(),
        table.detach().permute(2, 1, 0).contiguous().permute(2, 1, 0).requires_grad_(),
        stencil._replace(
            weights=stencil.weights.detach().t().contiguous().t().requires_grad_(),
        ),
    )
    assert not any(t.is_contiguous() for t in (*strided[:2], strided[2].weights))
    for one, two in zip(results(*strided), expected):
        assert torch.equal(one, two)


def test_a_gradient_that_is_one_number_spread_out_serves():
    features, table, stencil = make_case(3, 10)
    out = tabulated_convolution(features, table, stencil)
    spread = torch.autograd.grad(out.sum(), (features, table), retain_graph=True)
    ones = torch.autograd.grad(out, (features, table), torch.ones_like(out))
    for one, two in zip(spread, ones):
        assert torch.equal(one, two)


def test_a_second_backward_pass_gives_the_same():
    features, table, stencil = make_case(3, 10)
    loss = tabulated_convolution(features, table, stencil).square().sum()
    inputs = features, table, stencil.weights
    first = torch.autograd.grad(loss, inputs, retain_graph=True)
    for one, two in zip(first, torch.autograd.grad(loss, inputs)):
        assert torch.equal(one, two)


@pytest.mark.parametrize("compiled", [True, False])
def test_half_precision_features_are_summed_in_the_stencils_precision(compiled):
    features, table, stencil = make_case(3, 10, dtype=torch.float)
    half = features.detach().bfloat16()
    out = tabulated_convolution(half, table, stencil, compiled=compiled)
    assert out.dtype == torch.float32
    assert torch.equal(out, tabulated_convolution(half.float(), table, stencil, compiled=compiled))


def test_without_numba_plain_torch_does_the_same(monkeypatch):
    case = make_case(3, 10)
    expected = plain(*case)
    monkeypatch.setattr(tabulated, "has_numba", lambda: False)
    monkeypatch.setattr(tabulated, "_Compiled", None)
    for one, two in zip(results(*case), expected):
        assert torch.equal(one, two)
