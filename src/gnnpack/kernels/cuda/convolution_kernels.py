# mypy: disable-error-code="no-untyped-def,untyped-decorator"
"""Triton kernels of the convolution over molecule ranges; import only where Triton is present.

Strides are constants: as run-time integers they cost the 16-byte loads. Sums are float32 whatever
the storage.
"""

from __future__ import annotations

import triton
import triton.language as tl

from gnnpack.kernels.cuda.filter_kernels import filter_slope, filter_value


@triton.jit
def distance_between(pos, slot, other, mask):
    """Differences other to slot and their square; 0 where masked."""
    x = tl.load(pos + slot * 3, mask=mask, other=0.0) - tl.load(
        pos + other * 3, mask=mask, other=0.0
    )
    y = tl.load(pos + slot * 3 + 1, mask=mask, other=0.0)
    y -= tl.load(pos + other * 3 + 1, mask=mask, other=0.0)
    z = tl.load(pos + slot * 3 + 2, mask=mask, other=0.0)
    z -= tl.load(pos + other * 3 + 2, mask=mask, other=0.0)
    return x, y, z, x * x + y * y + z * z


@triton.jit
def convolve_ranges(
    features,
    pos,
    low,
    high,
    table,
    out,
    num_slots,
    limit,
    inverse_step,
    FEATURE_STRIDE: tl.constexpr,
    OUT_STRIDE: tl.constexpr,
    TABLE_STRIDE: tl.constexpr,
    CHANNELS: tl.constexpr,
    KNOTS: tl.constexpr,
    ORDER: tl.constexpr,
    SLOT_TILE: tl.constexpr,
    CHANNEL_TILE: tl.constexpr,
):
    """out_i = sum over i's molecule of features_j * filter(distance_ij).

    Step t visits slot low + t of each row's own molecule, so no pair of two molecules is touched.
    Slices of channels are the slow axis of the grid: programs that run together read one slice of
    the table, which stays in the L1 cache.
    """
    slot = tl.program_id(0) * SLOT_TILE + tl.arange(0, SLOT_TILE)
    channel = tl.program_id(1) * CHANNEL_TILE + tl.arange(0, CHANNEL_TILE)
    inside, channel_inside = slot < num_slots, channel < CHANNELS
    begin = tl.load(low + slot, mask=inside, other=0)
    end = tl.load(high + slot, mask=inside, other=0)
    total = tl.zeros((SLOT_TILE, CHANNEL_TILE), dtype=tl.float32)
    for step in range(0, tl.max(end - begin, axis=0)):
        other = begin + step
        is_pair = (other < end) & (other != slot)
        _, _, _, square = distance_between(pos, slot, other, is_pair)
        is_pair = is_pair & (square < limit)
        x = tl.sqrt(tl.where(is_pair, square, 0.0)) * inverse_step
        mask = is_pair[:, None] & channel_inside[None, :]
        weight = filter_value(table, x, channel, mask, TABLE_STRIDE, KNOTS, ORDER)
        place = other[:, None] * FEATURE_STRIDE + channel[None, :]
        total += weight * tl.load(features + place, mask=mask, other=0.0).to(tl.float32)
    mask = inside[:, None] & channel_inside[None, :]
    tl.store(out + slot[:, None] * OUT_STRIDE + channel[None, :], total, mask=mask)


@triton.jit
def position_gradient(
    features,
    grad,
    pos,
    low,
    high,
    table,
    out,
    num_slots,
    limit,
    inverse_step,
    FEATURE_STRIDE: tl.constexpr,
    GRAD_STRIDE: tl.constexpr,
    TABLE_STRIDE: tl.constexpr,
    CHANNELS: tl.constexpr,
    KNOTS: tl.constexpr,
    ORDER: tl.constexpr,
    SLOT_TILE: tl.constexpr,
    CHANNEL_TILE: tl.constexpr,
):
    """out_i = gradient of sum(grad * convolution) in the position of slot i, (A, 3).

    The pair i, j enters the convolution twice, so its distance collects
    filter'(d) * (grad_i features_j + grad_j features_i), summed over the channels of one program.
    Atoms that coincide have no direction: gradient 0, as torch.linalg.vector_norm has it.
    """
    slot = tl.program_id(0) * SLOT_TILE + tl.arange(0, SLOT_TILE)
    channel = tl.arange(0, CHANNEL_TILE)
    inside, channel_inside = slot < num_slots, channel < CHANNELS
    begin = tl.load(low + slot, mask=inside, other=0)
    end = tl.load(high + slot, mask=inside, other=0)
    own = inside[:, None] & channel_inside[None, :]
    place = slot[:, None] * FEATURE_STRIDE + channel[None, :]
    own_features = tl.load(features + place, mask=own, other=0.0).to(tl.float32)
    place = slot[:, None] * GRAD_STRIDE + channel[None, :]
    own_grad = tl.load(grad + place, mask=own, other=0.0).to(tl.float32)
    total_x = tl.zeros((SLOT_TILE,), dtype=tl.float32)
    total_y = tl.zeros((SLOT_TILE,), dtype=tl.float32)
    total_z = tl.zeros((SLOT_TILE,), dtype=tl.float32)
    for step in range(0, tl.max(end - begin, axis=0)):
        other = begin + step
        is_pair = (other < end) & (other != slot)
        x, y, z, square = distance_between(pos, slot, other, is_pair)
        is_pair = is_pair & (square < limit) & (square > 0.0)
        distance = tl.sqrt(tl.where(is_pair, square, 1.0))
        mask = is_pair[:, None] & channel_inside[None, :]
        coordinate = tl.where(is_pair, distance * inverse_step, 0.0)
        slope = filter_slope(table, coordinate, channel, mask, TABLE_STRIDE, KNOTS, ORDER)
        place = other[:, None] * FEATURE_STRIDE + channel[None, :]
        both = own_grad * tl.load(features + place, mask=mask, other=0.0).to(tl.float32)
        place = other[:, None] * GRAD_STRIDE + channel[None, :]
        both += own_features * tl.load(grad + place, mask=mask, other=0.0).to(tl.float32)
        force = tl.sum(tl.where(mask, slope * both, 0.0), axis=1) * inverse_step / distance
        total_x += force * x
        total_y += force * y
        total_z += force * z
    tl.store(out + slot * 3, total_x, mask=inside)
    tl.store(out + slot * 3 + 1, total_y, mask=inside)
    tl.store(out + slot * 3 + 2, total_z, mask=inside)
