"""Compiled loops of the convolution with tabulated filters; import only where numba is present.

A task is a run of whole packs, whose atoms no other task touches. In the backward pass each task
sums a gradient of the table of its own; their number is fixed. So no two threads write the same
place, every sum has a fixed order, and results do not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import carray, njit
from torch import Tensor

from gnnpack.kernels.simd import multiply, multiply_add, vector_operations
from gnnpack.kernels.threads import ARGUMENTS, TASKS, compile_entry, next_task, pointer, run

# Tasks of a pass: the most threads that can share it. Each holds a table's gradient of its own.
TASKS_OF_A_PASS = 16


def convolve(saved: tuple[Tensor, ...]) -> Tensor:
    """Messages (A, F) from features (A, F), table (M, K, F) and a stencil's other tensors."""
    out = torch.empty_like(saved[0])
    run(compile_entry(FORWARD[out.dtype]), TASKS_OF_A_PASS, *_numbers(saved), out.data_ptr())
    return out


def convolve_backward(saved: tuple[Tensor, ...], grad: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients in features (A, F) and table (M, K, F); the operator is its own transpose."""
    features, table = saved[:2]
    grad_features = torch.empty_like(features)
    parts = table.new_empty(TASKS_OF_A_PASS, *table.shape)
    addresses = (tensor.data_ptr() for tensor in (grad, grad_features, parts))
    run(compile_entry(BACKWARD[grad.dtype]), TASKS_OF_A_PASS, *_numbers(saved), *addresses)
    return grad_features, parts.sum(0)


def _numbers(saved: tuple[Tensor, ...]) -> tuple[int, ...]:
    features, table, _, first, _, offsets, _ = saved
    assert all(tensor.is_contiguous() for tensor in saved), "the loops count from a row's start"
    sizes = *features.shape, *table.shape[:2], len(first), len(offsets) - 1
    return (*sizes, *(tensor.data_ptr() for tensor in saved))


def _channels(width):  # type: ignore[no-untyped-def]
    """Forward and backward pass over pairs in channels start:stop, ``width`` at a time."""
    load, store, spread = vector_operations(width)

    @njit
    def add(array, place, weight, value):  # type: ignore[no-untyped-def]
        store(array, place, multiply_add(weight, value, load(array, place)))

    @njit
    def forward(features, table, weights, pairs, out, start, stop):  # type: ignore[no-untyped-def]
        first, second, knots, first_pair, last_pair = pairs
        num_channels, rows_per_knot = features.shape[1], table.shape[1]
        for e in range(first_pair, last_pair):
            i, j = first[e] * num_channels, second[e] * num_channels
            row = knots[e] * rows_per_knot * num_channels
            a, b = spread(weights[e, 0]), spread(weights[e, 1])
            c, d = a, b
            if rows_per_knot == 2:
                c, d = spread(weights[e, 2]), spread(weights[e, 3])
            for f in range(start, stop, width):
                place = row + f
                filters = multiply(a, load(table, place))
                filters = multiply_add(b, load(table, place + num_channels), filters)
                if rows_per_knot == 2:
                    filters = multiply_add(c, load(table, place + 2 * num_channels), filters)
                    filters = multiply_add(d, load(table, place + 3 * num_channels), filters)
                add(out, i + f, filters, load(features, j + f))
                add(out, j + f, filters, load(features, i + f))

    @njit
    def backward(  # type: ignore[no-untyped-def]
        features, table, weights, pairs, grad, grad_features, grad_table, start, stop
    ):
        first, second, knots, first_pair, last_pair = pairs
        num_channels, rows_per_knot = features.shape[1], table.shape[1]
        for e in range(first_pair, last_pair):
            i, j = first[e] * num_channels, second[e] * num_channels
            row = knots[e] * rows_per_knot * num_channels
            a, b = spread(weights[e, 0]), spread(weights[e, 1])
            c, d = a, b
            if rows_per_knot == 2:
                c, d = spread(weights[e, 2]), spread(weights[e, 3])
            for f in range(start, stop, width):
                at_a = row + f
                at_b = at_a + num_channels
                filters = multiply(a, load(table, at_a))
                filters = multiply_add(b, load(table, at_b), filters)
                grad_i, grad_j = load(grad, i + f), load(grad, j + f)
                both = multiply(load(features, i + f), grad_j)
                both = multiply_add(load(features, j + f), grad_i, both)
                add(grad_table, at_a, a, both)
                add(grad_table, at_b, b, both)
                if rows_per_knot == 2:
                    at_c = at_b + num_channels
                    at_d = at_c + num_channels
                    filters = multiply_add(c, load(table, at_c), filters)
                    filters = multiply_add(d, load(table, at_d), filters)
                    add(grad_table, at_c, c, both)
                    add(grad_table, at_d, d, both)
                add(grad_features, j + f, grad_i, filters)
                add(grad_features, i + f, grad_j, filters)

    return forward, backward


# A row's channels in vectors of 16, what is left in vectors of 4, and then one by one.
WIDE, NARROW = 16, 4
_wide_forward, _wide_backward = _channels(WIDE)  # type: ignore[no-untyped-call]
_narrow_forward, _narrow_backward = _channels(NARROW)  # type: ignore[no-untyped-call]
_single_forward, _single_backward = _channels(1)  # type: ignore[no-untyped-call]


@njit
def _arrays(numbers, real):  # type: ignore[no-untyped-def]
    """What both passes read, from the numbers of `_numbers`."""
    A, F, M, K = numbers[0], numbers[1], numbers[2], numbers[3]
    E, P = numbers[4], numbers[5]
    return (
        carray(pointer(numbers[6]), (A, F), real),
        carray(pointer(numbers[7]), (M, K, F), real),
        carray(pointer(numbers[8]), (E, 2 * K), real),
        carray(pointer(numbers[9]), E, np.int32),
        carray(pointer(numbers[10]), E, np.int32),
        carray(pointer(numbers[11]), P + 1, np.int64),
        carray(pointer(numbers[12]), E, np.int32),
    )


@njit(error_model="numpy")
def _forward_tasks(data, real):  # type: ignore[no-untyped-def]
    numbers = carray(data, 32, np.int64)
    arguments, num_tasks = numbers[ARGUMENTS:], numbers[TASKS]
    features, table, weights, first, second, offsets, knots = _arrays(arguments, real)
    out = carray(pointer(arguments[13]), features.shape, real)
    F, P = features.shape[1], len(offsets) - 1
    slots = len(features) // P
    wide, narrow = F // WIDE * WIDE, F // NARROW * NARROW
    while True:
        task = next_task(data)
        if task >= num_tasks:
            break
        start, stop = P * task // num_tasks, P * (task + 1) // num_tasks
        out[start * slots : stop * slots] = 0
        pairs = first, second, knots, offsets[start], offsets[stop]
        rows = features, table, weights, pairs, out
        _wide_forward(*rows, 0, wide)
        _narrow_forward(*rows, wide, narrow)
        _single_forward(*rows, narrow, F)


@njit(error_model="numpy")
def _backward_tasks(data, real):  # type: ignore[no-untyped-def]
    numbers = carray(data, 32, np.int64)
    arguments, num_tasks = numbers[ARGUMENTS:], numbers[TASKS]
    features, table, weights, first, second, offsets, knots = _arrays(arguments, real)
    grad = carray(pointer(arguments[13]), features.shape, real)
    grad_features = carray(pointer(arguments[14]), features.shape, real)
    shape = num_tasks, table.shape[0], table.shape[1], table.shape[2]
    parts = carray(pointer(arguments[15]), shape, real)
    F, P = features.shape[1], len(offsets) - 1
    slots = len(features) // P
    wide, narrow = F // WIDE * WIDE, F // NARROW * NARROW
    while True:
        task = next_task(data)
        if task >= num_tasks:
            break
        start, stop = P * task // num_tasks, P * (task + 1) // num_tasks
        parts[task] = 0
        grad_features[start * slots : stop * slots] = 0
        pairs = first, second, knots, offsets[start], offsets[stop]
        rows = features, table, weights, pairs, grad, grad_features, parts[task]
        _wide_backward(*rows, 0, wide)
        _narrow_backward(*rows, wide, narrow)
        _single_backward(*rows, narrow, F)


def _forward_float32(data):  # type: ignore[no-untyped-def]
    _forward_tasks(data, np.float32)


def _forward_float64(data):  # type: ignore[no-untyped-def]
    _forward_tasks(data, np.float64)


def _backward_float32(data):  # type: ignore[no-untyped-def]
    _backward_tasks(data, np.float32)


def _backward_float64(data):  # type: ignore[no-untyped-def]
    _backward_tasks(data, np.float64)


FORWARD = {torch.float32: _forward_float32, torch.float64: _forward_float64}
BACKWARD = {torch.float32: _backward_float32, torch.float64: _backward_float64}
