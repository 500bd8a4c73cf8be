"""The convolution's loop over pairs, with tabulated filters; import only where numba is present.

Pairs lie in order of their first atom, whose rows stay in registers while its pairs are gone
through. Features, messages, tables and gradients have rows of one length.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from gnnpack.kernels.simd import multiply, multiply_add, vector_operations


def over_channels(wide: int, half: int, single: int) -> tuple[Any, Any]:
    """Both passes over all channels, in vectors of the widest of three widths that fits.

    forward(features, table, stencil, cubic, start, stop, channels, out) and
    backward(..., channels, grad, grad_features, grad_table)
    go through pairs start:stop and add to their last arrays: ``stencil`` is (first, second, knots,
    weights), and ``cubic`` is None for tables of one row a knot: a branch on None is taken when
    numba compiles. Channels are rounded up to whole vectors of ``single``.
    """
    widths = wide, half, single
    linear_forward, linear_backward = _over_channels(widths, 1)
    cubic_forward, cubic_backward = _over_channels(widths, 2)

    @njit
    def forward(features, table, stencil, cubic, start, stop, channels, out):  # type: ignore[no-untyped-def]
        if cubic is None:
            linear_forward(features, table, stencil, start, stop, channels, out)
        else:
            cubic_forward(features, table, stencil, start, stop, channels, out)

    @njit
    def backward(features, table, stencil, cubic, start, stop, channels, *gradients):  # type: ignore[no-untyped-def]
        if cubic is None:
            linear_backward(features, table, stencil, start, stop, channels, *gradients)
        else:
            cubic_backward(features, table, stencil, start, stop, channels, *gradients)

    return forward, backward


def _over_channels(widths: tuple[int, int, int], rows_per_knot: int) -> tuple[Any, Any]:
    wide, half, single = widths
    (wide_forward, wide_backward), (half_forward, half_backward), (last_forward, last_backward) = (
        _pair_loops(width, rows_per_knot) for width in widths
    )

    @njit
    def forward(features, table, stencil, start, stop, channels, out):  # type: ignore[no-untyped-def]
        end = -(-channels // single) * single
        channel = 0
        while channel < end:
            if end - channel >= wide:
                wide_forward(features, table, stencil, start, stop, channel, out)
                channel += wide
            elif end - channel >= half:
                half_forward(features, table, stencil, start, stop, channel, out)
                channel += half
            else:
                last_forward(features, table, stencil, start, stop, channel, out)
                channel += single

    @njit
    def backward(features, table, stencil, start, stop, channels, *gradients):  # type: ignore[no-untyped-def]
        end = -(-channels // single) * single
        channel = 0
        while channel < end:
            if end - channel >= wide:
                wide_backward(features, table, stencil, start, stop, channel, *gradients)
                channel += wide
            elif end - channel >= half:
                half_backward(features, table, stencil, start, stop, channel, *gradients)
                channel += half
            else:
                last_backward(features, table, stencil, start, stop, channel, *gradients)
                channel += single

    return forward, backward


def _pair_loops(width: int, K: int) -> tuple[Any, Any]:
    """Both passes in ``width`` channels from ``channel`` on.

    K is a constant of theirs: a branch in the loop keeps vectors out of registers.
    """
    load, store, spread = vector_operations(width)

    @njit
    def add(array, place, weight, value):  # type: ignore[no-untyped-def]
        store(array, place, multiply_add(weight, value, load(array, place)))

    @njit
    def interpolate(table, weights, e, place, length):  # type: ignore[no-untyped-def]
        filters = multiply(spread(weights[e, 0]), load(table, place))
        filters = multiply_add(spread(weights[e, 1]), load(table, place + length), filters)
        if K == 2:
            c, d = spread(weights[e, 2]), spread(weights[e, 3])
            filters = multiply_add(c, load(table, place + 2 * length), filters)
            filters = multiply_add(d, load(table, place + 3 * length), filters)
        return filters

    @njit
    def add_to_table(grad_table, weights, e, place, length, both):  # type: ignore[no-untyped-def]
        add(grad_table, place, spread(weights[e, 0]), both)
        add(grad_table, place + length, spread(weights[e, 1]), both)
        if K == 2:
            add(grad_table, place + 2 * length, spread(weights[e, 2]), both)
            add(grad_table, place + 3 * length, spread(weights[e, 3]), both)

    @njit
    def forward(features, table, stencil, start, stop, channel, out):  # type: ignore[no-untyped-def]
        first, second, knots, weights = stencil
        length = features.shape[1]
        e = start
        while e < stop:
            atom = first[e]
            i = atom * length + channel
            feature, message = load(features, i), load(out, i)
            while e < stop and first[e] == atom:
                j = second[e] * length + channel
                place = knots[e] * K * length + channel
                filters = interpolate(table, weights, e, place, length)
                message = multiply_add(filters, load(features, j), message)
                add(out, j, filters, feature)
                e += 1
            store(out, i, message)

    @njit
    def backward(  # type: ignore[no-untyped-def]
        features, table, stencil, start, stop, channel, grad, grad_features, grad_table
    ):
        first, second, knots, weights = stencil
        length = features.shape[1]
        e = start
        while e < stop:
            atom = first[e]
            i = atom * length + channel
            feature, above, below = load(features, i), load(grad, i), load(grad_features, i)
            while e < stop and first[e] == atom:
                j = second[e] * length + channel
                place = knots[e] * K * length + channel
                filters = interpolate(table, weights, e, place, length)
                above_j = load(grad, j)
                both = multiply(feature, above_j)
                both = multiply_add(load(features, j), above, both)
                add_to_table(grad_table, weights, e, place, length, both)
                below = multiply_add(filters, above_j, below)
                add(grad_features, j, filters, above)
                e += 1
            store(grad_features, i, below)

    return forward, backward
