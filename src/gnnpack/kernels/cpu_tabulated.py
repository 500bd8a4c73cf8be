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

from gnnpack.kernels.cpu_pair_loops import over_channels
from gnnpack.kernels.threads import ARGUMENTS, TASKS, compile_entry, next_task, pointer, run

# Tasks of a pass: the most threads that can share it. Each holds a table's gradient of its own.
TASKS_OF_A_PASS = 16


def convolve(saved: tuple[Tensor, ...]) -> Tensor:
    """Messages (A, F) from features (A, F), table (M, K, F) and a stencil's other tensors."""
    out = torch.empty_like(saved[0])
    run(
        compile_entry(FORWARD[out.dtype, saved[1].shape[1]]),
        TASKS_OF_A_PASS,
        *_numbers(saved),
        out.data_ptr(),
    )
    return out


def convolve_backward(saved: tuple[Tensor, ...], grad: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients in features (A, F) and table (M, K, F); the operator is its own transpose."""
    features, table = saved[:2]
    grad_features = torch.empty_like(features)
    parts = table.new_empty(TASKS_OF_A_PASS, *table.shape)
    addresses = (tensor.data_ptr() for tensor in (grad, grad_features, parts))
    run(
        compile_entry(BACKWARD[grad.dtype, table.shape[1]]),
        TASKS_OF_A_PASS,
        *_numbers(saved),
        *addresses,
    )
    return grad_features, parts.sum(0)


def _numbers(saved: tuple[Tensor, ...]) -> tuple[int, ...]:
    features, table, _, first, _, offsets, _ = saved
    assert all(tensor.is_contiguous() for tensor in saved), "the loops count from a row's start"
    sizes = *features.shape, *table.shape[:2], len(first), len(offsets) - 1
    return (*sizes, *(tensor.data_ptr() for tensor in saved))


# Rows are as long as a layer is wide, so the last channels may go one by one.
_forward, _backward = over_channels(16, 4, 1)


@njit
def _arrays(numbers, real):  # type: ignore[no-untyped-def]
    """What both passes read, from the numbers of `_numbers`."""
    A, F, M, K = numbers[0], numbers[1], numbers[2], numbers[3]
    E, P = numbers[4], numbers[5]
    return (
        carray(pointer(numbers[6]), (A, F), real),
        carray(pointer(numbers[7]), (M, K, F), real),
        (
            carray(pointer(numbers[9]), E, np.int32),
            carray(pointer(numbers[10]), E, np.int32),
            carray(pointer(numbers[12]), E, np.int32),
            carray(pointer(numbers[8]), (E, 2 * K), real),
        ),
        carray(pointer(numbers[11]), P + 1, np.int64),
    )


@njit(error_model="numpy")
def _forward_tasks(data, real, cubic):  # type: ignore[no-untyped-def]
    numbers = carray(data, 32, np.int64)
    arguments, num_tasks = numbers[ARGUMENTS:], numbers[TASKS]
    features, table, stencil, offsets = _arrays(arguments, real)
    out = carray(pointer(arguments[13]), features.shape, real)
    F, P = features.shape[1], len(offsets) - 1
    slots = len(features) // P
    while True:
        task = next_task(data)
        if task >= num_tasks:
            break
        start, stop = P * task // num_tasks, P * (task + 1) // num_tasks
        out[start * slots : stop * slots] = 0
        pairs = stencil, cubic, offsets[start], offsets[stop], F
        _forward(features, table, *pairs, out)


@njit(error_model="numpy")
def _backward_tasks(data, real, cubic):  # type: ignore[no-untyped-def]
    numbers = carray(data, 32, np.int64)
    arguments, num_tasks = numbers[ARGUMENTS:], numbers[TASKS]
    features, table, stencil, offsets = _arrays(arguments, real)
    grad = carray(pointer(arguments[13]), features.shape, real)
    grad_features = carray(pointer(arguments[14]), features.shape, real)
    shape = num_tasks, table.shape[0], table.shape[1], table.shape[2]
    parts = carray(pointer(arguments[15]), shape, real)
    F, P = features.shape[1], len(offsets) - 1
    slots = len(features) // P
    while True:
        task = next_task(data)
        if task >= num_tasks:
            break
        start, stop = P * task // num_tasks, P * (task + 1) // num_tasks
        parts[task] = 0
        grad_features[start * slots : stop * slots] = 0
        pairs = stencil, cubic, offsets[start], offsets[stop], F
        _backward(features, table, *pairs, grad, grad_features, parts[task])


def _linear_forward_float32(data):  # type: ignore[no-untyped-def]
    _forward_tasks(data, np.float32, None)


def _cubic_forward_float32(data):  # type: ignore[no-untyped-def]
    _forward_tasks(data, np.float32, True)


def _linear_forward_float64(data):  # type: ignore[no-untyped-def]
    _forward_tasks(data, np.float64, None)


def _cubic_forward_float64(data):  # type: ignore[no-untyped-def]
    _forward_tasks(data, np.float64, True)


def _linear_backward_float32(data):  # type: ignore[no-untyped-def]
    _backward_tasks(data, np.float32, None)


def _cubic_backward_float32(data):  # type: ignore[no-untyped-def]
    _backward_tasks(data, np.float32, True)


def _linear_backward_float64(data):  # type: ignore[no-untyped-def]
    _backward_tasks(data, np.float64, None)


def _cubic_backward_float64(data):  # type: ignore[no-untyped-def]
    _backward_tasks(data, np.float64, True)


FORWARD = {
    (torch.float32, 1): _linear_forward_float32,
    (torch.float64, 1): _linear_forward_float64,
    (torch.float32, 2): _cubic_forward_float32,
    (torch.float64, 2): _cubic_forward_float64,
}
"""By type and rows a knot; an entry point is compiled when it is first needed."""
BACKWARD = {
    (torch.float32, 1): _linear_backward_float32,
    (torch.float64, 1): _linear_backward_float64,
    (torch.float32, 2): _cubic_backward_float32,
    (torch.float64, 2): _cubic_backward_float64,
}
