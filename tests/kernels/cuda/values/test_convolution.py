"""The convolution and its three gradients against dense float64."""

from __future__ import annotations

import pytest
import torch

from gnnpack.kernels import find_pairs
from gnnpack.kernels.cuda import convolve, empty_rows, launch, molecule_ranges
from gnnpack.kernels.filter_table import make_stencil
from gnnpack.kernels.tabulated import tabulated_convolution
from tests.kernels.cuda.values.dense_reference import (
    CUTOFF,
    convolve_dense,
    packs,
    relative,
    smooth_table,
)

SIZES = (4, 3, 1), (9,), (), (2, 7)
NUM_SLOTS = 9
# Float32 sums of a few dozen terms; the coordinate's own rounding is amplified by the slope.
TOLERANCE = 5e-6


def inputs(order: int, channels: int, knots: int = 11, device="cpu"):
    """features, table, pos, molecule_slot, atom_mask; the first three ask for gradients."""
    pos, slot, mask = packs(*SIZES, num_slots=NUM_SLOTS, device=device)
    features = torch.randn(slot.numel(), channels).to(device).requires_grad_()
    table = smooth_table(knots, order, channels).to(device).requires_grad_()
    return features, table, pos.requires_grad_(), slot, mask


def fast(features, table, pos, slot, mask):
    ranges = molecule_ranges(pos, slot, mask, CUTOFF, table.shape[0])
    return convolve(features, table, ranges)


def with_gradients(function, given, weight):
    """Output and the gradients in features, table and positions of a weighted sum of it."""
    out = function(*given)
    return (out, *torch.autograd.grad((out * weight.to(out.dtype)).sum(), given[:3]))


def in_double(given):
    features, table, pos, slot, mask = given
    return (*(t.detach().double().requires_grad_() for t in (features, table, pos)), slot, mask)


# 36 channels: a whole slice and a part of one; 11 knots: row tiles with and without a rest.
@pytest.mark.parametrize("order, channels", [(1, 36), (2, 36), (2, 1)])
def test_values_and_gradients_equal_the_dense_float64_reference(order, channels, device):
    given = inputs(order, channels, device=device)
    weight = torch.randn(given[0].shape).to(device)
    found = with_gradients(fast, given, weight)
    wanted = with_gradients(convolve_dense, in_double(given), weight)
    for name, one, other in zip(("out", "features", "table", "positions"), found, wanted):
        assert one.dtype == torch.float32
        assert relative(one, other) < TOLERANCE * (10 if name == "positions" else 1), name


def test_the_packages_own_reference_says_the_same(device):
    features, table, pos, slot, mask = inputs(2, 5, device=device)
    wide = in_double((features, table, pos, slot, mask))
    stencil = make_stencil(find_pairs(wide[2], slot, mask, CUTOFF, compiled=False), CUTOFF, 11, 2)
    wanted = tabulated_convolution(wide[0], wide[1], stencil, compiled=False)
    assert relative(fast(features, table, pos, slot, mask), wanted) < TOLERANCE


def test_the_same_input_gives_the_same_bits(device):
    given = inputs(2, 5, device=device)
    weight = torch.randn(given[0].shape).to(device)
    for one, other in zip(*(with_gradients(fast, given, weight) for _ in range(2))):
        assert torch.equal(one, other)


@pytest.mark.parametrize("order", [1, 2])
def test_filler_is_zero_whatever_lies_in_it(order, device):
    features, table, pos, slot, mask = inputs(order, 5, device=device)
    weight = torch.randn(features.shape).to(device)
    clean = with_gradients(fast, (features, table, pos, slot, mask), weight)
    with torch.no_grad():
        features[~mask.view(-1)] = float("nan")
        pos[~mask] = -3.0
        weight[~mask.view(-1)] = float("nan")
    out = fast(features, table, pos, slot, mask)
    assert not out[~mask.view(-1)].any()
    # The loss of filler is masked, so its gradient is 0 there; here it is NaN and must not matter.
    dirty = (out, *torch.autograd.grad(out, (features, table, pos), weight))
    for one, other in zip(dirty, clean):
        assert torch.equal(one, other)
    assert not dirty[1][~mask.view(-1)].any()
    assert not dirty[3][~mask].any()


@pytest.mark.parametrize("order", [1, 2])
def test_hermite_is_exact_for_cubics_and_linear_for_lines(order, device):
    distance = torch.linspace(0, CUTOFF, 6, device=device)
    power = 3 if order == 2 else 1
    rows = [distance**power]
    if order == 2:
        rows.append(power * distance ** (power - 1) * CUTOFF / 5)
    table = torch.stack(rows, 1)[:, :, None]
    # Two atoms, so the only message is the filter itself; one pair a pack, up to the cutoff.
    apart = torch.tensor([0.0, 0.31, 1.2, 1.79, 2.4, 2.999, 3.0, 5.0], device=device)
    pos = torch.zeros(len(apart), 2, 3, device=device)
    pos[:, 1, 1] = apart
    slot = torch.zeros(len(apart), 2, dtype=torch.int64, device=device)
    out = fast(torch.ones(2 * len(apart), 1, device=device), table, pos, slot, slot == 0)
    wanted = torch.where(apart < CUTOFF, apart**power, torch.zeros_like(apart))
    torch.testing.assert_close(out.view(-1, 2), wanted[:, None].expand(-1, 2), atol=1e-5, rtol=1e-5)


def test_positions_differentiate_as_finite_differences(device):
    features, table, pos, slot, mask = inputs(2, 8, device=device)
    weight = torch.randn(features.shape).to(device)

    def energy(pos):
        return (fast(features, table, pos, slot, mask) * weight).double().sum()

    (grad,) = torch.autograd.grad(energy(pos), pos)
    direction = torch.randn(pos.shape).to(device) * mask[..., None]
    step = 3e-3  # rounding over the step and the step's square are both below 1e-4
    with torch.no_grad():
        difference = energy(pos + step * direction) - energy(pos - step * direction)
    torch.testing.assert_close(
        (difference / (2 * step)).item(), (grad * direction).sum().item(), rtol=2e-3, atol=1e-2
    )


@pytest.mark.parametrize("order", [1, 2])
def test_atoms_that_coincide_have_finite_gradients(order, device):
    features, table, pos, slot, mask = inputs(order, 4, device=device)
    with torch.no_grad():
        pos[0, 1:4] = pos[0, 0]
    found = with_gradients(fast, (features, table, pos, slot, mask), torch.ones(1, device=device))
    given = in_double((features, table, pos, slot, mask))
    wanted = with_gradients(convolve_dense, given, torch.ones(1, device=device))
    for one, other in zip(found, wanted):
        assert one.isfinite().all()
        assert relative(one, other) < 10 * TOLERANCE


def test_the_tables_gradient_does_not_depend_on_its_shares(device, monkeypatch):
    # One length of bond: every pair in one bin, which alone has to feed all shares.
    pos = torch.zeros(6, 9, 3, device=device)
    pos[:, ::2, 0] = 1.1
    slot = torch.zeros(6, 9, dtype=torch.int64, device=device)
    features = torch.randn(54, 4).to(device)
    grads = []
    table = torch.zeros(11, 2, 4, device=device, requires_grad=True)
    for split in (lambda *_: 1, lambda *_: 4):
        monkeypatch.setattr("gnnpack.kernels.cuda.table_gradient.table_shares", split)
        out = fast(features, table, pos, slot, slot >= 0)
        grads += torch.autograd.grad(out.sum(), table)
    torch.testing.assert_close(*grads)
    assert grads[0].any()


def test_shares_grow_with_the_pairs_and_end():
    found = [launch.table_shares(pairs, 512) for pairs in (0, 20_000, 640_000, 10**9)]
    assert found == sorted(found)
    assert found[0] == 1
    assert found[-1] == launch.MOST_SHARES


@pytest.mark.parametrize("dtype, tolerance", [(torch.float16, 2e-3), (torch.bfloat16, 1.5e-2)])
def test_narrow_storage_costs_its_own_rounding_alone(dtype, tolerance, device):
    features, table, pos, slot, mask = inputs(2, 20, device=device)
    stored = empty_rows(*features.shape, dtype, device).copy_(features.detach()).requires_grad_()
    assert stored.stride(0) == 24, "rows start at multiples of 16 bytes"
    given = stored, table.detach().to(dtype).requires_grad_(), pos, slot, mask
    weight = torch.randn(features.shape).to(device, dtype)
    found = with_gradients(fast, given, weight)
    # The reference gets the rounded numbers: what is left is the rounding of the results.
    wanted = with_gradients(convolve_dense, in_double(given), weight)
    assert [t.dtype for t in found] == [dtype, dtype, dtype, torch.float32]
    for one, other in zip(found, wanted):
        assert relative(one, other) < tolerance


def test_gradients_that_do_not_lie_in_rows_are_read_right(device):
    given = inputs(1, 6, device=device)
    expanded = torch.autograd.grad(fast(*given).sum(), given[:3])
    for one, other in zip(expanded, with_gradients(fast, given, torch.ones(36, 6).to(device))[1:]):
        assert torch.equal(one, other)
    transposed = given[0].detach().t().contiguous().t()
    assert torch.equal(fast(transposed, *given[1:]), fast(*given))


def test_what_does_not_fit_the_ranges_is_refused(device):
    features, table, pos, slot, mask = inputs(2, 4, device=device)
    ranges = molecule_ranges(pos, slot, mask, CUTOFF, 11)
    with pytest.raises(ValueError, match="36 atom slots"):
        convolve(features[:-1], table, ranges)
    with pytest.raises(ValueError, match=r"\(11, 2, 4\), cubic"):
        convolve(features, table[:-1], ranges)
    with pytest.raises(ValueError, match="float64"):
        convolve(features.double(), table, ranges)
