"""A network's parameters copied into rows, and sums of their gradients; import only with numba.

`gnnpack.kernels.network` decides the order.
"""

from __future__ import annotations

import numpy as np
from numba import carray, njit

from gnnpack.kernels.cpu_bf16 import pair_rows_in_place
from gnnpack.kernels.threads import ARGUMENTS, TASKS, next_task, pointer


@njit
def copy(source, rows):  # type: ignore[no-untyped-def]
    """A matrix, or a transposed one, to rows that are longer; their ends become 0."""
    width = source.shape[1]
    for r in range(source.shape[0]):
        for c in range(width):
            rows[r, c] = source[r, c]
        for c in range(width, rows.shape[1]):
            rows[r, c] = 0


@njit
def _layout(numbers):  # type: ignore[no-untyped-def]
    """First rows (n + 1,), first rows when turned (n,) or -1, and columns (n,) of n parameters."""
    n = numbers[0]
    return (
        carray(pointer(numbers[2]), n + 1, np.int64),
        carray(pointer(numbers[3]), n, np.int64),
        carray(pointer(numbers[4]), n, np.int64),
    )


@njit
def _copy_parameters(data, bf16):  # type: ignore[no-untyped-def]
    """Copy parameters from their addresses (n,); a task copies one.

    With bf16, which is None for float32, pairs of rows of dense weights lie where these were.
    """
    numbers = carray(data, 16, np.int64)
    arguments, num_tasks = numbers[ARGUMENTS:], numbers[TASKS]
    n, S = arguments[0], arguments[1]
    first_row, first_turned, columns = _layout(arguments)
    addresses = carray(pointer(arguments[5]), n, np.int64)
    rows = carray(pointer(arguments[6]), (first_row[n], S), np.float32)
    while True:
        p = next_task(data)
        if p >= num_tasks:
            break
        height = first_row[p + 1] - first_row[p]
        source = carray(pointer(addresses[p]), (height, columns[p]), np.float32)
        copy(source, rows[first_row[p] : first_row[p + 1]])
        if first_turned[p] >= 0:
            shape = first_turned[p] + columns[p], S
            turned = carray(pointer(arguments[7]), shape, np.float32)
            of_weight = turned[first_turned[p] :]
            copy(source.T, of_weight)
            if bf16 is not None:
                pair_rows_in_place(rows[first_row[p] : first_row[p + 1]])
                pair_rows_in_place(of_weight)


def copy_entry(data):  # type: ignore[no-untyped-def]
    """Parameters in rows, float32."""
    _copy_parameters(data, None)


def copy_entry_bf16(data):  # type: ignore[no-untyped-def]
    """Parameters in rows, dense weights as pairs of bfloat16 numbers."""
    _copy_parameters(data, True)


def sum_entry(data):  # type: ignore[no-untyped-def]
    """Add the parts of all gradients, in order, to gradients at addresses (n,); a task has rows."""
    numbers = carray(data, 16, np.int64)
    arguments, num_tasks = numbers[ARGUMENTS:], numbers[TASKS]
    n, S, num_parts = arguments[0], arguments[1], arguments[7]
    first_row, _, columns = _layout(arguments)
    addresses = carray(pointer(arguments[5]), n, np.int64)
    R = first_row[n]
    parts = carray(pointer(arguments[6]), (num_parts, R, S), np.float32)
    while True:
        task = next_task(data)
        if task >= num_tasks:
            break
        start, stop = R * task // num_tasks, R * (task + 1) // num_tasks
        for p in range(n):
            height, width = first_row[p + 1] - first_row[p], columns[p]
            out = carray(pointer(addresses[p]), (height, width), np.float32)
            for row in range(max(start, first_row[p]), min(stop, first_row[p + 1])):
                r = row - first_row[p]
                for c in range(width):
                    out[r, c] = parts[0, row, c]
                for part in range(1, num_parts):
                    for c in range(width):
                        out[r, c] += parts[part, row, c]
