"""Filters tabulated on a grid of distances.

A filter is a function of one number, the distance. So it is evaluated at M knots spread evenly over
[0, cutoff] and interpolated between them, instead of being evaluated for every pair. A table is
(M, K, F) for F channels: K = 1, values, interpolated linearly; K = 2, values and slopes (times the
spacing of the knots), interpolated by cubic Hermite polynomials, which are smooth in their slope.
The cutoff function is part of the table: at the last knot it is 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gnnpack.kernels.pairs import Pairs

ROWS = {"linear": 1, "cubic": 2}
"""Rows a knot, K, of each interpolation."""

# Largest error of an interpolated filter, over the filter's root mean square, is ERROR[order] times
# (spacing of the knots / width of the Gaussians) to the power of 2 * K. Measured for SchNet filters
# of 25 to 300 Gaussians, at their first weights and at three times these: 0.43 to 0.74 and 0.025 to
# 0.044. `gnnpack bench` checks it.
ERROR = {"linear": 0.75, "cubic": 0.045}


def num_knots_for(tolerance: float, order: str, cutoff: float, width: float) -> int:
    """Knots at which the interpolation's largest error stays below ``tolerance``.

    Args:
        tolerance: largest error over the root mean square of the filter.
        order: ``linear`` or ``cubic``.
        cutoff: Å.
        width: of the Gaussians the filter is a function of, Å.

    >>> num_knots_for(1e-4, "cubic", 6.0, 0.25), num_knots_for(1e-4, "linear", 6.0, 0.25)
    (112, 2080)
    """
    # Where Gaussians are wide, the cutoff function is what bends most.
    width = min(width, cutoff / 4)
    spacing: float = width * (tolerance / ERROR[order]) ** (0.5 / ROWS[order])
    return max(2, math.ceil(cutoff / spacing) + 1)


class Stencil(NamedTuple):
    """Which rows of a table each pair reads, and with what weight; shared by all blocks.

    The rows of pair e are the 2 K ones from knot ``knots[e]`` on.
    """

    first: Tensor  # (E,) int32, as in Pairs
    second: Tensor  # (E,) int32
    offsets: Tensor  # (P + 1,) int64
    knots: Tensor  # (E,) int32, the last knot that is not beyond the distance, at most M - 2
    weights: Tensor  # (E, 2 K), differentiable in the distance


def make_stencil(pairs: Pairs, cutoff: float, num_knots: int, rows_per_knot: int) -> Stencil:
    """Knots and weights of all pairs.

    Args:
        num_knots: M, at least 2.
        rows_per_knot: K.
    """
    knots, weights = interpolation_weights(pairs.distance, cutoff, num_knots, rows_per_knot)
    return Stencil(pairs.first, pairs.second, pairs.offsets, knots, weights)


def interpolation_weights(
    distance: Tensor, cutoff: float, num_knots: int, rows_per_knot: int
) -> tuple[Tensor, Tensor]:
    """First knot (...) int32 and weights (..., 2 K) of distances (...) in [0, cutoff]."""
    position = distance * ((num_knots - 1) / cutoff)
    # A distance of exactly the cutoff belongs to the last interval.
    knots = position.detach().to(torch.int32).clamp_(max=num_knots - 2)
    t = position - knots
    if rows_per_knot == 1:
        return knots, torch.stack([1 - t, t], -1)
    rest = 1 - t
    early, late = t * rest * rest, t * t * rest
    # value and slope at the knot before, value and slope at the knot behind
    behind = t * t + 2 * late
    return knots, torch.stack([1 - behind, early, behind, -late], -1)


def interpolate(table: Tensor, knots: Tensor, weights: Tensor) -> Tensor:
    """Filters (..., F) from a table (M, K, F): the plain reference."""
    _, rows_per_knot, F = table.shape
    rows, first_row = table.reshape(-1, F), knots.reshape(-1).long() * rows_per_knot

    def tap(k: int) -> Tensor:
        # Not rows[first_row + k], whose gradient torch sums in no fixed order.
        return rows.index_select(0, first_row + k).view(*knots.shape, F)

    filters = weights[..., :1] * tap(0)
    for k in range(1, 2 * rows_per_knot):
        filters = filters + weights[..., k : k + 1] * tap(k)
    return filters
