"""Gradient of the convolution in its filter table: a product with the hat matrix."""

from __future__ import annotations

import torch
from torch import Tensor

from gnnpack.kernels.cuda.launch import (
    PAIRS_PER_STEP,
    dot_precision,
    programs,
    table_shares,
    table_tiles,
)
from gnnpack.kernels.cuda.ranges import MoleculeRanges
from gnnpack.kernels.cuda.rows import readable_rows, stored_channels


def table_gradient(features: Tensor, grad: Tensor, ranges: MoleculeRanges, *, order: int) -> Tensor:
    """hat^T (features_j grad_i + features_i grad_j) over all pairs, (M * K, F) float32.

    Args:
        features, grad: (A, F), the convolution's input and its output's gradient.
        ranges: of `molecule_ranges`, with sorted pairs.
        order: K, rows of the table a knot.

    Pairs are sorted by bin, so a tile of rows needs one contiguous run of them. Runs are split in a
    fixed number of shares, summed in a fixed order: no atomics, the same bits every time.

    Raises:
        ValueError: the ranges were made without pairs.
    """
    from gnnpack.kernels.cuda.table_kernels import table_gradient_shares

    if not ranges.has_pairs:
        raise ValueError(
            "The filter table asks for a gradient and these ranges hold no pairs: make them with "
            "molecule_ranges(..., sort_pairs=True), or evaluate under torch.no_grad()."
        )
    features, grad = readable_rows(features), readable_rows(grad)
    num_rows, num_channels = ranges.num_knots * order, features.shape[1]
    tiles = table_tiles(features.element_size())
    shares = table_shares(ranges.first.shape[0], num_rows)
    partial = torch.empty(shares, num_rows, num_channels, device=features.device)
    grid = programs(num_rows, tiles.rows), programs(num_channels, tiles.channels), shares
    table_gradient_shares[grid](
        features,
        grad,
        ranges.first,
        ranges.second,
        ranges.coordinate,
        ranges.bins,
        partial,
        FEATURE_STRIDE=features.stride(0),
        GRAD_STRIDE=grad.stride(0),
        CHANNELS=num_channels,
        STORED_CHANNELS=stored_channels(features, grad),
        KNOTS=ranges.num_knots,
        ORDER=order,
        SHARES=shares,
        ROW_TILE=tiles.rows,
        PAIR_TILE=PAIRS_PER_STEP,
        CHANNEL_TILE=tiles.channels,
        PRECISION=dot_precision(),
        num_warps=tiles.warps,
    )
    return partial[0] if shares == 1 else partial.sum(0)
