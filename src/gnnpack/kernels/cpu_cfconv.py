"""Compiled loops of the convolution with a filter a pair; import only where numba is present.

A task is a run of whole packs: a pack's pairs touch only that pack's atoms, so no two threads write
the same place, and within a pack the order is fixed. So results do not depend on the number of
threads.
``contract`` alone is allowed of fast-math: it fuses multiply and add, and keeps NaN and infinity.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import carray, njit
from torch import Tensor

from gnnpack.kernels.threads import ARGUMENTS, TASKS, compile_entry, next_task, pointer, run

# Tasks of a pass: the most threads that can share it.
TASKS_OF_A_PASS = 16


def convolve(saved: tuple[Tensor, ...]) -> Tensor:
    """Messages (A, F) from features (A, F), filters (E, F), envelope (E,) and the pairs' places."""
    out = torch.zeros_like(saved[0])
    run(compile_entry(FORWARD[out.dtype]), TASKS_OF_A_PASS, *_numbers(saved), out.data_ptr())
    return out


def convolve_backward(saved: tuple[Tensor, ...], grad: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients in features (A, F) and filters (E, F); the operator is its own transpose."""
    grad_features, grad_filters = torch.zeros_like(saved[0]), torch.empty_like(saved[1])
    addresses = (tensor.data_ptr() for tensor in (grad, grad_features, grad_filters))
    run(compile_entry(BACKWARD[grad.dtype]), TASKS_OF_A_PASS, *_numbers(saved), *addresses)
    return grad_features, grad_filters


def _numbers(saved: tuple[Tensor, ...]) -> tuple[int, ...]:
    features, filters, _, _, _, offsets = saved
    assert all(tensor.is_contiguous() for tensor in saved), "the loops count from a row's start"
    sizes = *features.shape, len(filters), len(offsets) - 1
    return (*sizes, *(tensor.data_ptr() for tensor in saved))


@njit(fastmath={"contract"})
def _forward(features, filters, envelope, pairs, out):  # type: ignore[no-untyped-def]
    """out[i] += features[j] * filters[e] * envelope[e], both ways of each pair."""
    first, second, first_pair, last_pair = pairs
    for e in range(first_pair, last_pair):
        i, j, scale = first[e], second[e], envelope[e]
        for f in range(features.shape[1]):
            w = filters[e, f] * scale
            out[i, f] += features[j, f] * w
            out[j, f] += features[i, f] * w


@njit(fastmath={"contract"})
def _backward(  # type: ignore[no-untyped-def]
    features, filters, envelope, pairs, grad, grad_features, grad_filters
):
    first, second, first_pair, last_pair = pairs
    for e in range(first_pair, last_pair):
        i, j, scale = first[e], second[e], envelope[e]
        for f in range(features.shape[1]):
            w = filters[e, f] * scale
            grad_i, grad_j = grad[i, f], grad[j, f]
            grad_features[j, f] += grad_i * w
            grad_features[i, f] += grad_j * w
            grad_filters[e, f] = scale * (features[j, f] * grad_i + features[i, f] * grad_j)


@njit
def _arrays(numbers, real):  # type: ignore[no-untyped-def]
    """What both passes read, from the numbers of `_numbers`."""
    A, F, E, P = numbers[0], numbers[1], numbers[2], numbers[3]
    return (
        carray(pointer(numbers[4]), (A, F), real),
        carray(pointer(numbers[5]), (E, F), real),
        carray(pointer(numbers[6]), E, real),
        carray(pointer(numbers[7]), E, np.int32),
        carray(pointer(numbers[8]), E, np.int32),
        carray(pointer(numbers[9]), P + 1, np.int64),
    )


@njit(error_model="numpy")
def _forward_tasks(data, real):  # type: ignore[no-untyped-def]
    numbers = carray(data, 16, np.int64)
    arguments, num_tasks = numbers[ARGUMENTS:], numbers[TASKS]
    features, filters, envelope, first, second, offsets = _arrays(arguments, real)
    out = carray(pointer(arguments[10]), features.shape, real)
    P = len(offsets) - 1
    while True:
        task = next_task(data)
        if task >= num_tasks:
            break
        start, stop = P * task // num_tasks, P * (task + 1) // num_tasks
        pairs = first, second, offsets[start], offsets[stop]
        _forward(features, filters, envelope, pairs, out)


@njit(error_model="numpy")
def _backward_tasks(data, real):  # type: ignore[no-untyped-def]
    numbers = carray(data, 16, np.int64)
    arguments, num_tasks = numbers[ARGUMENTS:], numbers[TASKS]
    features, filters, envelope, first, second, offsets = _arrays(arguments, real)
    grad = carray(pointer(arguments[10]), features.shape, real)
    grad_features = carray(pointer(arguments[11]), features.shape, real)
    grad_filters = carray(pointer(arguments[12]), filters.shape, real)
    P = len(offsets) - 1
    while True:
        task = next_task(data)
        if task >= num_tasks:
            break
        start, stop = P * task // num_tasks, P * (task + 1) // num_tasks
        pairs = first, second, offsets[start], offsets[stop]
        _backward(features, filters, envelope, pairs, grad, grad_features, grad_filters)


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
