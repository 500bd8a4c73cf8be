"""Filter networks at the knots of a grid as compiled loops; import only where numba is present.

A task is a block's network, so no sum is shared between threads. ``kept`` holds, of each network in
rows of one length whose ends no sum reads: what its first layer gives for values and slopes, what
its second layer reads, the softplus's slope at the values, and its weights copied and transposed.
M knots of K rows, G Gaussians, C channels; X = M K rows: the values of all knots, then slopes.
"""

from __future__ import annotations

import numpy as np
from numba import carray, njit

from gnnpack.kernels.cpu_parameters import copy
from gnnpack.kernels.cpu_products import add_outer, add_product
from gnnpack.kernels.cpu_softplus import value_and_slope
from gnnpack.kernels.threads import ARGUMENTS, TASKS, next_task, pointer

PARAMETERS = 4  # of a network: weight and bias of two layers


@njit
def _kept(rows, sizes):  # type: ignore[no-untyped-def]
    """The parts of one network's rows."""
    M, K, G, C = sizes
    X = M * K
    slope, turned_1 = 2 * X, 2 * X + M
    turned_2 = turned_1 + G
    weight_2 = turned_2 + C
    return (
        rows[:X],
        rows[X:slope],
        rows[slope:turned_1],
        rows[turned_1:turned_2],
        rows[turned_2:weight_2],
        rows[weight_2 : weight_2 + C],
    )


@njit
def _forward(sizes, knots, parameters, rows, table):  # type: ignore[no-untyped-def]
    """table (X, C), the two rows of a knot together, and ``rows`` for the backward pass."""
    M, K, G, C = sizes
    basis, envelope, envelope_slope = knots
    weight_1, bias_1, weight_2, bias_2 = parameters
    first, second, slope, turned_1, turned_2, straight_2 = _kept(rows, sizes)
    copy(weight_1.T, turned_1)
    copy(weight_2.T, turned_2)
    copy(weight_2, straight_2)
    first[:] = 0
    add_product(basis, G, turned_1, first, C)
    second[:M] = first[:M]
    for m in range(M):
        for c in range(C):
            second[m, c] += bias_1[0, c]
    value_and_slope(second[:M], slope)
    # The slope of a filter by the chain rule.
    for x in range(M, M * K):
        for c in range(second.shape[1]):
            second[x, c] = slope[x - M, c] * first[x, c]
    # The first layer's values are not needed again; its slopes are.
    filters = rows[len(rows) - M * K :]
    filters[:] = 0
    add_product(second, C, turned_2, filters, C)
    for m in range(M):
        for c in range(C):
            value = filters[m, c] + bias_2[0, c]
            table[m * K, c] = value * envelope[m]
            if K == 2:
                table[m * K + 1, c] = filters[M + m, c] * envelope[m] + value * envelope_slope[m]


@njit
def _backward(sizes, knots, rows, grad, gradients, room):  # type: ignore[no-untyped-def]
    """Gradients of a network's parameters from that of its table, grad (X, C)."""
    M, K, _, C = sizes
    basis, envelope, envelope_slope = knots
    of_weight_1, of_bias_1, of_weight_2, of_bias_2 = gradients
    first, second, slope, _, _, weight_2 = _kept(rows, sizes)
    of_filters, of_first, products = room[: M * K], room[M * K : 2 * M * K], room[2 * M * K :]
    of_filters[:] = 0
    of_bias_1[:] = 0
    of_bias_2[:] = 0
    for m in range(M):
        for c in range(C):
            value = grad[m * K, c] * envelope[m]
            if K == 2:
                value += grad[m * K + 1, c] * envelope_slope[m]
                of_filters[M + m, c] = grad[m * K + 1, c] * envelope[m]
            of_filters[m, c] = value
            of_bias_2[0, c] += value
    products[:] = 0
    add_outer(of_filters, C, second, C, products)
    of_weight_2[:] = products[:C, :C]
    of_first[:] = 0
    add_product(of_filters, C, weight_2, of_first, C)
    for m in range(M):
        for c in range(C):
            of_value, of_slope = of_first[m, c] * slope[m, c], np.float32(0)
            if K == 2:
                of_slope = of_first[M + m, c] * slope[m, c]
                # The sigmoid's own slope.
                of_value += of_slope * first[M + m, c] * (np.float32(1) - slope[m, c])
                of_first[M + m, c] = of_slope
            of_first[m, c] = of_value
            of_bias_1[0, c] += of_value
    # Transposed: rows are the Gaussians, so that they fit whatever the number of these.
    products[:] = 0
    add_outer(basis, of_weight_1.shape[1], of_first, C, products)
    for c in range(C):
        for g in range(of_weight_1.shape[1]):
            of_weight_1[c, g] = products[g, c]


@njit
def _network(addresses, number, sizes):  # type: ignore[no-untyped-def]
    """A network's four parameters, or their gradients, from all addresses."""
    G, C = sizes[2], sizes[3]
    start = number * PARAMETERS
    return (
        carray(pointer(addresses[start]), (C, G), np.float32),
        carray(pointer(addresses[start + 1]), (1, C), np.float32),
        carray(pointer(addresses[start + 2]), (C, C), np.float32),
        carray(pointer(addresses[start + 3]), (1, C), np.float32),
    )


@njit
def _arrays(numbers):  # type: ignore[no-untyped-def]
    """What both passes read; the order is that of `filter_networks._numbers`."""
    L, M, K, G = numbers[0], numbers[1], numbers[2], numbers[3]
    C, S, R = numbers[4], numbers[5], numbers[6]
    return (
        (M, K, G, C),
        (
            carray(pointer(numbers[7]), (M * K, G), np.float32),
            carray(pointer(numbers[8]), M, np.float32),
            carray(pointer(numbers[9]), M, np.float32),
        ),
        carray(pointer(numbers[10]), PARAMETERS * L, np.int64),
        carray(pointer(numbers[11]), (L, R, S), np.float32),
        carray(pointer(numbers[12]), (L, M * K, C), np.float32),
    )


def forward_entry(data):  # type: ignore[no-untyped-def]
    numbers = carray(data, 20, np.int64)
    sizes, knots, addresses, kept, tables = _arrays(numbers[ARGUMENTS:])
    while True:
        number = next_task(data)
        if number >= numbers[TASKS]:
            break
        parameters = _network(addresses, number, sizes)
        _forward(sizes, knots, parameters, kept[number], tables[number])


def backward_entry(data):  # type: ignore[no-untyped-def]
    numbers = carray(data, 20, np.int64)
    arguments = numbers[ARGUMENTS:]
    sizes, knots, addresses, kept, grad = _arrays(arguments)
    M, K, G, C = sizes
    rows = 2 * M * K + max(G, C)
    room = carray(pointer(arguments[13]), (len(kept), rows, kept.shape[2]), np.float32)
    while True:
        number = next_task(data)
        if number >= numbers[TASKS]:
            break
        gradients = _network(addresses, number, sizes)
        _backward(sizes, knots, kept[number], grad[number], gradients, room[number])
