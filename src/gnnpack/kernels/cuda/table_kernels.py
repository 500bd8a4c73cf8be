# mypy: disable-error-code="no-untyped-def,untyped-decorator"
"""Triton kernel of the table's gradient; import only where Triton is present."""

from __future__ import annotations

import triton
import triton.language as tl

from gnnpack.kernels.cuda.filter_kernels import knot_weight


@triton.jit
def table_gradient_shares(
    features,
    grad,
    first,
    second,
    coordinate,
    bins,
    partial,
    FEATURE_STRIDE: tl.constexpr,
    GRAD_STRIDE: tl.constexpr,
    CHANNELS: tl.constexpr,
    STORED_CHANNELS: tl.constexpr,
    KNOTS: tl.constexpr,
    ORDER: tl.constexpr,
    SHARES: tl.constexpr,
    ROW_TILE: tl.constexpr,
    PAIR_TILE: tl.constexpr,
    CHANNEL_TILE: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """partial (SHARES, M * K, F): rows of the table's gradient from each share of their pairs."""
    KNOT_TILE: tl.constexpr = ROW_TILE // ORDER
    knot = tl.program_id(0) * KNOT_TILE
    row = tl.program_id(0) * ROW_TILE + tl.arange(0, ROW_TILE)
    channel = tl.program_id(1) * CHANNEL_TILE + tl.arange(0, CHANNEL_TILE)
    share = tl.program_id(2)
    # A pair touches the knots at both ends of its bin: the bin before the tile belongs to it too.
    begin = tl.load(bins + tl.maximum(knot - 1, 0))
    end = tl.load(bins + tl.minimum(knot + KNOT_TILE, KNOTS))
    total = tl.zeros((ROW_TILE, CHANNEL_TILE), dtype=tl.float32)
    for start in range(begin + share * PAIR_TILE, end, SHARES * PAIR_TILE):
        pair = start + tl.arange(0, PAIR_TILE)
        inside = pair < end
        # -2 is more than one knot away from every row: weight 0.
        x = tl.load(coordinate + pair, mask=inside, other=-2.0)
        i = tl.load(first + pair, mask=inside, other=0)
        j = tl.load(second + pair, mask=inside, other=0)
        mask = inside[:, None] & (channel < STORED_CHANNELS)[None, :]
        place_i = i[:, None] * FEATURE_STRIDE + channel[None, :]
        place_j = j[:, None] * FEATURE_STRIDE + channel[None, :]
        features_i = tl.load(features + place_i, mask=mask, other=0.0).to(tl.float32)
        features_j = tl.load(features + place_j, mask=mask, other=0.0).to(tl.float32)
        place_i = i[:, None] * GRAD_STRIDE + channel[None, :]
        place_j = j[:, None] * GRAD_STRIDE + channel[None, :]
        grad_i = tl.load(grad + place_i, mask=mask, other=0.0).to(tl.float32)
        grad_j = tl.load(grad + place_j, mask=mask, other=0.0).to(tl.float32)
        both = features_j * grad_i + features_i * grad_j
        hat = knot_weight(x[None, :], row[:, None], ORDER)
        total = tl.dot(hat, both, acc=total, input_precision=PRECISION)
    place = (share * (KNOTS * ORDER) + row[:, None]) * CHANNELS + channel[None, :]
    mask = (row < KNOTS * ORDER)[:, None] & (channel < CHANNELS)[None, :]
    tl.store(partial + place, total, mask=mask)
