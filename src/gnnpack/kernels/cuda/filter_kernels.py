# mypy: disable-error-code="no-untyped-def,untyped-decorator"
"""Reading a filter table between its knots, and the transpose of that; Triton device functions.

A table is (M * K, F): K = ORDER rows a knot, the value and, for cubic Hermite, the slope times the
knots' spacing. A coordinate is the distance in units of that spacing. Hermite's basis:
h00 = (1 + 2w)(1 - w)^2, h10 = w (1 - w)^2, h01 = w^2 (3 - 2w), h11 = w^2 (w - 1).
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def locate(coordinate, KNOTS: tl.constexpr):
    """The knot below a coordinate and the part of the way to the next one."""
    # A distance a rounding error below the cutoff may reach the last knot, which has no next.
    knot = tl.minimum(coordinate.to(tl.int32), KNOTS - 2)
    return knot, coordinate - knot.to(tl.float32)


@triton.jit
def filter_value(
    table, coordinate, channel, mask, STRIDE: tl.constexpr, KNOTS: tl.constexpr, ORDER: tl.constexpr
):
    """The filter of every row's coordinate and every column's channel; 0 where masked."""
    knot, weight = locate(coordinate, KNOTS)
    row = table + knot[:, None] * (ORDER * STRIDE) + channel[None, :]
    lower = tl.load(row, mask=mask, other=0.0).to(tl.float32)
    upper = tl.load(row + ORDER * STRIDE, mask=mask, other=0.0).to(tl.float32)
    if ORDER == 1:
        value = lower + weight[:, None] * (upper - lower)
    else:
        lower_slope = tl.load(row + STRIDE, mask=mask, other=0.0).to(tl.float32)
        upper_slope = tl.load(row + 3 * STRIDE, mask=mask, other=0.0).to(tl.float32)
        rest = 1.0 - weight
        value = ((1.0 + 2.0 * weight) * rest * rest)[:, None] * lower
        value += (weight * rest * rest)[:, None] * lower_slope
        value += (weight * weight * (3.0 - 2.0 * weight))[:, None] * upper
        value -= (weight * weight * rest)[:, None] * upper_slope
    return value


@triton.jit
def filter_slope(
    table, coordinate, channel, mask, STRIDE: tl.constexpr, KNOTS: tl.constexpr, ORDER: tl.constexpr
):
    """Derivative of `filter_value` in the coordinate."""
    knot, weight = locate(coordinate, KNOTS)
    row = table + knot[:, None] * (ORDER * STRIDE) + channel[None, :]
    lower = tl.load(row, mask=mask, other=0.0).to(tl.float32)
    upper = tl.load(row + ORDER * STRIDE, mask=mask, other=0.0).to(tl.float32)
    if ORDER == 1:
        slope = upper - lower
    else:
        lower_slope = tl.load(row + STRIDE, mask=mask, other=0.0).to(tl.float32)
        upper_slope = tl.load(row + 3 * STRIDE, mask=mask, other=0.0).to(tl.float32)
        slope = (6.0 * weight * (1.0 - weight))[:, None] * (upper - lower)
        slope += ((3.0 * weight - 4.0) * weight + 1.0)[:, None] * lower_slope
        slope += ((3.0 * weight - 2.0) * weight)[:, None] * upper_slope
    return slope


@triton.jit
def knot_weight(coordinate, row, ORDER: tl.constexpr):
    """What a table row weighs in the filter at a coordinate: the hat matrix, transposed.

    With t = coordinate - knot and a = |t| < 1 the basis reads, from either side, (1 + 2a)(1 - a)^2
    for the value and t (1 - a)^2 for the slope; linear is 1 - a.
    """
    offset = coordinate - (row // ORDER).to(tl.float32)
    away = tl.abs(offset)
    rest = 1.0 - away
    if ORDER == 1:
        weight = rest
    else:
        is_value = row % ORDER == 0
        weight = rest * rest * tl.where(is_value, 1.0 + 2.0 * away, offset)
    # Not `away < 1`: NaN, the mark of a batch without room for its pairs, must come through.
    return tl.where(away >= 1.0, 0.0, weight)
