"""Continuous-filter convolution with a tabulated filter, over the atoms of each molecule."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gnnpack.kernels.cuda.launch import convolution_tiles, position_tiles, programs
from gnnpack.kernels.cuda.ranges import MoleculeRanges
from gnnpack.kernels.cuda.rows import (
    check_storage,
    empty_rows_like,
    readable_rows,
    stored_channels,
    wide_rows,
)
from gnnpack.kernels.cuda.table_gradient import table_gradient

# A atom slots, F channels, M knots, K rows a knot


def convolve(features: Tensor, table: Tensor, ranges: MoleculeRanges) -> Tensor:
    """out_i = sum over neighbours j of features_j * filter(distance_ij), (A, F).

    Args:
        features: (A, F) float32, float16 or bfloat16, one row a slot. Rows that start at multiples
            of 16 bytes are read fastest: see `empty_rows`.
        table: (M, K, F), the filter at M knots spread evenly over [0, cutoff], the cutoff function
            included: K = 1 values, interpolated linearly; K = 2 values and slopes times the knots'
            spacing, cubic Hermite.
        ranges: of `molecule_ranges`.

    The sums are float32; the result has the features' type, filler rows are 0. Differentiable once
    in features, table and ``ranges.pos``. The same input gives the same bits.

    Raises:
        ValueError: shapes do not fit the ranges, or a type the kernels do not read.
    """
    _check(features, table, ranges)
    out: Tensor = _Convolution.apply(  # type: ignore[no-untyped-call]
        features, table, ranges.pos, ranges
    )
    return out


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, features: Tensor, table: Tensor, pos: Tensor, ranges: MoleculeRanges
    ) -> Tensor:
        ctx.save_for_backward(features, table)
        ctx.ranges = ranges._replace(pos=pos.detach())
        return _convolve(features, table, ctx.ranges)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        features, table = ctx.saved_tensors
        grad_features = grad_table = grad_pos = None
        if ctx.needs_input_grad[0]:
            # distance_ij = distance_ji: the operator is its own transpose.
            grad_features = _convolve(grad, table, ctx.ranges)
        if ctx.needs_input_grad[1]:
            rows = table_gradient(features, grad, ctx.ranges, order=table.shape[1])
            grad_table = rows.view(table.shape).to(table.dtype)
        if ctx.needs_input_grad[2]:
            grad_pos = _position_gradient(features, grad, table, ctx.ranges)
        return grad_features, grad_table, grad_pos, None


def _convolve(features: Tensor, table: Tensor, ranges: MoleculeRanges) -> Tensor:
    from gnnpack.kernels.cuda.convolution_kernels import convolve_ranges

    features, rows = readable_rows(features), wide_rows(table.flatten(0, 1))
    num_slots, num_channels = features.shape
    out = empty_rows_like(features)
    tiles = convolution_tiles(num_channels, ranges.slots_per_pack, features.element_size())
    convolve_ranges[(programs(num_slots, tiles.rows), programs(num_channels, tiles.channels))](
        features,
        ranges.pos,
        ranges.low,
        ranges.high,
        rows,
        out,
        num_slots,
        ranges.cutoff**2,
        (ranges.num_knots - 1) / ranges.cutoff,
        FEATURE_STRIDE=features.stride(0),
        OUT_STRIDE=out.stride(0),
        TABLE_STRIDE=rows.stride(0),
        CHANNELS=stored_channels(features, rows, out),
        KNOTS=ranges.num_knots,
        ORDER=table.shape[1],
        SLOT_TILE=tiles.rows,
        CHANNEL_TILE=tiles.channels,
        num_warps=tiles.warps,
    )
    return out


def _position_gradient(
    features: Tensor, grad: Tensor, table: Tensor, ranges: MoleculeRanges
) -> Tensor:
    from gnnpack.kernels.cuda.convolution_kernels import position_gradient

    features, grad = readable_rows(features), readable_rows(grad)
    rows = wide_rows(table.flatten(0, 1))
    num_slots, num_channels = features.shape
    out = torch.empty_like(ranges.pos)
    tiles = position_tiles(num_channels)
    position_gradient[(programs(num_slots, tiles.rows),)](
        features,
        grad,
        ranges.pos,
        ranges.low,
        ranges.high,
        rows,
        out,
        num_slots,
        ranges.cutoff**2,
        (ranges.num_knots - 1) / ranges.cutoff,
        FEATURE_STRIDE=features.stride(0),
        GRAD_STRIDE=grad.stride(0),
        TABLE_STRIDE=rows.stride(0),
        CHANNELS=num_channels,
        KNOTS=ranges.num_knots,
        ORDER=table.shape[1],
        SLOT_TILE=tiles.rows,
        CHANNEL_TILE=tiles.channels,
        num_warps=tiles.warps,
    )
    return out


def _check(features: Tensor, table: Tensor, ranges: MoleculeRanges) -> None:
    check_storage(features=features, table=table)
    num_slots = ranges.low.shape[0]
    if features.dim() != 2 or features.shape[0] != num_slots:
        raise ValueError(
            f"features are {tuple(features.shape)}; the batch has {num_slots} atom slots, so they "
            f"must be ({num_slots}, F)."
        )
    knots, channels = ranges.num_knots, features.shape[1]
    if table.shape not in ((knots, 1, channels), (knots, 2, channels)):
        raise ValueError(
            f"The filter table is {tuple(table.shape)}; these ranges and features need "
            f"({knots}, 1, {channels}), linear, or ({knots}, 2, {channels}), cubic Hermite."
        )
