"""Compiled search for neighbour pairs; import only where numba is present.

A task is a run of whole packs. Each pack's pairs have a place of their own, and within a pack the
order is fixed: results do not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import carray, njit
from torch import Tensor

from gnnpack.kernels.threads import ARGUMENTS, TASKS, compile_entry, next_task, pointer, run

# Tasks of a pass: the most threads that can share it.
TASKS_OF_A_PASS = 16


def search(
    pos: Tensor, molecule_slot: Tensor, atom_mask: Tensor, cutoff: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Slots of all pairs, (E,) and (E,) int32, and each pack's first pair, (P + 1,) int64.

    Args:
        pos: (P, N, 3) float32 or float64, Å.
        molecule_slot: (P, N) int64.
        atom_mask: (P, N) bool.
    """
    fields = [tensor.contiguous() for tensor in (pos, molecule_slot, atom_mask)]
    # The limit in the positions' own precision: the comparison then equals the reference's.
    limit = torch.tensor(cutoff * cutoff, dtype=pos.dtype)
    counts = torch.empty(len(pos), dtype=torch.int64)
    sizes = molecule_slot.shape
    addresses = [tensor.data_ptr() for tensor in (*fields, limit)]
    run(compile_entry(COUNT[pos.dtype]), TASKS_OF_A_PASS, *sizes, *addresses, counts.data_ptr())
    offsets = torch.zeros(len(pos) + 1, dtype=torch.int64)
    torch.cumsum(counts, 0, out=offsets[1:])
    first, second = torch.empty(2, int(offsets[-1]), dtype=torch.int32)
    addresses += [tensor.data_ptr() for tensor in (offsets, first, second)]
    run(compile_entry(FILL[pos.dtype]), TASKS_OF_A_PASS, *sizes, len(first), *addresses)
    return first, second, offsets


@njit(inline="always")
def _square_distance(one, other):  # type: ignore[no-untyped-def]
    x, y, z = one[0] - other[0], one[1] - other[1], one[2] - other[2]
    return x * x + y * y + z * z


@njit
def _count_pairs(pos, molecule_slot, atom_mask, limit):  # type: ignore[no-untyped-def]
    """Pairs of one pack closer than sqrt(limit)."""
    num_slots = len(molecule_slot)
    found = 0
    for i in range(num_slots):
        if not atom_mask[i]:
            continue
        for j in range(i + 1, num_slots):
            if molecule_slot[j] != molecule_slot[i] or not atom_mask[j]:
                break
            if _square_distance(pos[i], pos[j]) < limit:
                found += 1
    return found


@njit
def _fill_pairs(  # type: ignore[no-untyped-def]
    pos, molecule_slot, atom_mask, limit, first_slot, e, first, second
):
    """Write the pairs of one pack to first, second (E,) from place e on, in slot order."""
    num_slots = len(molecule_slot)
    for i in range(num_slots):
        if not atom_mask[i]:
            continue
        for j in range(i + 1, num_slots):
            if molecule_slot[j] != molecule_slot[i] or not atom_mask[j]:
                break
            if _square_distance(pos[i], pos[j]) < limit:
                first[e] = np.int32(first_slot + i)
                second[e] = np.int32(first_slot + j)
                e += 1


@njit
def _fields(P, N, addresses, real):  # type: ignore[no-untyped-def]
    """What both passes read: positions, molecule slots, mask and limit."""
    return (
        carray(pointer(addresses[0]), (P, N, 3), real),
        carray(pointer(addresses[1]), (P, N), np.int64),
        carray(pointer(addresses[2]), (P, N), np.uint8),
        carray(pointer(addresses[3]), 1, real)[0],
    )


@njit(error_model="numpy")
def _count_tasks(data, real):  # type: ignore[no-untyped-def]
    numbers = carray(data, 16, np.int64)
    arguments, num_tasks = numbers[ARGUMENTS:], numbers[TASKS]
    P, N = arguments[0], arguments[1]
    pos, molecule_slot, atom_mask, limit = _fields(P, N, arguments[2:], real)
    counts = carray(pointer(arguments[6]), P, np.int64)
    while True:
        task = next_task(data)
        if task >= num_tasks:
            break
        for p in range(P * task // num_tasks, P * (task + 1) // num_tasks):
            counts[p] = _count_pairs(pos[p], molecule_slot[p], atom_mask[p], limit)


@njit(error_model="numpy")
def _fill_tasks(data, real):  # type: ignore[no-untyped-def]
    numbers = carray(data, 16, np.int64)
    arguments, num_tasks = numbers[ARGUMENTS:], numbers[TASKS]
    P, N, E = arguments[0], arguments[1], arguments[2]
    pos, molecule_slot, atom_mask, limit = _fields(P, N, arguments[3:], real)
    offsets = carray(pointer(arguments[7]), P + 1, np.int64)
    first = carray(pointer(arguments[8]), E, np.int32)
    second = carray(pointer(arguments[9]), E, np.int32)
    while True:
        task = next_task(data)
        if task >= num_tasks:
            break
        for p in range(P * task // num_tasks, P * (task + 1) // num_tasks):
            pack = pos[p], molecule_slot[p], atom_mask[p], limit
            _fill_pairs(*pack, p * N, offsets[p], first, second)


def _count_float32(data):  # type: ignore[no-untyped-def]
    _count_tasks(data, np.float32)


def _count_float64(data):  # type: ignore[no-untyped-def]
    _count_tasks(data, np.float64)


def _fill_float32(data):  # type: ignore[no-untyped-def]
    _fill_tasks(data, np.float32)


def _fill_float64(data):  # type: ignore[no-untyped-def]
    _fill_tasks(data, np.float64)


COUNT = {torch.float32: _count_float32, torch.float64: _count_float64}
FILL = {torch.float32: _fill_float32, torch.float64: _fill_float64}
