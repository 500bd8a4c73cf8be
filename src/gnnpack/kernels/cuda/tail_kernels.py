# mypy: disable-error-code="no-untyped-def,untyped-decorator"
"""Triton kernel of a block's tail; import only where Triton is present."""

from __future__ import annotations

import triton
import triton.language as tl

from gnnpack.kernels.cuda.softplus_kernels import shifted


@triton.jit
def tail_forward(
    messages,
    residual,
    w1,
    b1,
    w2,
    b2,
    hidden,
    out,
    num_rows,
    MESSAGE_STRIDE: tl.constexpr,
    RESIDUAL_STRIDE: tl.constexpr,
    W1_STRIDE: tl.constexpr,
    W2_STRIDE: tl.constexpr,
    FILTERS: tl.constexpr,
    HIDDEN: tl.constexpr,
    CHANNELS: tl.constexpr,
    ROW_TILE: tl.constexpr,
    FILTER_TILE: tl.constexpr,
    HIDDEN_TILE: tl.constexpr,
    CHANNEL_TILE: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """ROW_TILE rows through both layers: reads messages and residual, writes hidden and out.

    The hidden layer goes by in pieces, each multiplied into the result at once; the activation is
    never written, the backward pass recomputes it from ``hidden``.
    """
    row = tl.program_id(0) * ROW_TILE + tl.arange(0, ROW_TILE)
    channel = tl.arange(0, CHANNEL_TILE)
    inside, channel_inside = row < num_rows, channel < CHANNELS
    total = tl.zeros((ROW_TILE, CHANNEL_TILE), dtype=tl.float32)
    for hidden_start in range(0, HIDDEN, HIDDEN_TILE):
        unit = hidden_start + tl.arange(0, HIDDEN_TILE)
        unit_inside = unit < HIDDEN
        before = tl.zeros((ROW_TILE, HIDDEN_TILE), dtype=tl.float32)
        for filter_start in range(0, FILTERS, FILTER_TILE):
            source = filter_start + tl.arange(0, FILTER_TILE)
            source_inside = source < FILTERS
            mask = inside[:, None] & source_inside[None, :]
            place = row[:, None] * MESSAGE_STRIDE + source[None, :]
            left = tl.load(messages + place, mask=mask, other=0.0)
            mask = source_inside[:, None] & unit_inside[None, :]
            right = tl.load(w1 + unit[None, :] * W1_STRIDE + source[:, None], mask=mask, other=0.0)
            before = tl.dot(left, right.to(left.dtype), acc=before, input_precision=PRECISION)
        before += tl.load(b1 + unit, mask=unit_inside, other=0.0).to(tl.float32)[None, :]
        mask = inside[:, None] & unit_inside[None, :]
        tl.store(hidden + row[:, None] * HIDDEN + unit[None, :], before, mask=mask)
        left = shifted(before).to(messages.dtype.element_ty)
        mask = unit_inside[:, None] & channel_inside[None, :]
        right = tl.load(w2 + channel[None, :] * W2_STRIDE + unit[:, None], mask=mask, other=0.0)
        total = tl.dot(left, right.to(left.dtype), acc=total, input_precision=PRECISION)
    total += tl.load(b2 + channel, mask=channel_inside, other=0.0).to(tl.float32)[None, :]
    mask = inside[:, None] & channel_inside[None, :]
    place = row[:, None] * RESIDUAL_STRIDE + channel[None, :]
    total += tl.load(residual + place, mask=mask, other=0.0).to(tl.float32)
    tl.store(out + row[:, None] * CHANNELS + channel[None, :], total, mask=mask)
