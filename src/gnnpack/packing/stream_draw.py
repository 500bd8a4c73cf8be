"""Random packs of what waits in the buffer, nearly all of them exactly full."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.random_numbers import unit
from gnnpack.packing.stream_buffer import (
    ATOMS,
    COUNT,
    DRAWN,
    FIRST,
    GRAIN,
    MAX_ATOMS,
    MAX_MOLECULES,
    take,
)
from gnnpack.packing.stream_weights import ACTIVE, KIND, LEVELS, OVERDUE, REACH, UNIT, UNITS


def draw_pack(
    slots: NDArray[np.int64],
    queues: NDArray[np.int64],
    marks: NDArray[np.int64],
    limits: NDArray[np.int64],
    kinds: NDArray[np.int64],
    weights: NDArray[np.float64],
    ways: NDArray[np.float64],
    key: np.uint64,
    packed: NDArray[np.int64],
    opened: int,
) -> int:
    """Take the molecules of a pack out of their queues; how many. Their slots: packed[opened:]."""
    room = limits[MAX_ATOMS]
    left = room // marks[UNIT]
    held = 0
    while held < limits[MAX_MOLECULES] and left > 0:
        marks[DRAWN] += 1
        random = unit(key, marks[DRAWN])
        place = marks[OVERDUE] if held == 0 else -1
        if place < 0:
            place = draw_place(queues, marks, kinds, weights, ways, left, held, random)
        if place < 0:
            break
        kind = kinds[KIND, place]
        slot = queues[FIRST, kind]
        if slots[ATOMS, slot] > room:
            break
        take(slots, queues, kind, slot)
        packed[opened + held] = slot
        held += 1
        room -= slots[ATOMS, slot]
        # A kind that is rounded up counts more units than its molecule takes.
        left = left - kinds[UNITS, place] if limits[GRAIN] == 1 else room // marks[UNIT]
    return held


def draw_place(
    queues: NDArray[np.int64],
    marks: NDArray[np.int64],
    kinds: NDArray[np.int64],
    weights: NDArray[np.float64],
    ways: NDArray[np.float64],
    left: int,
    held: int,
    random: float,
) -> int:
    """Where in kinds the next molecule stands, for `left` units and after `held`; -1 for the end.

    Drawn among the kinds that wait now, each by its weight times the ways to go on.
    """
    reach = marks[REACH]
    level, ahead = 1, 1
    if marks[LEVELS] > 0:
        level = marks[LEVELS] - held
        ahead = level - 1
    threshold = random * ways[level, min(left, reach)]
    drawn = -1
    searching = True
    while searching:
        total = 0.0
        for i in range(marks[ACTIVE]):
            after = left - kinds[UNITS, i]
            if after >= 0 and queues[COUNT, kinds[KIND, i]] > 0:
                total += weights[i] * ways[ahead, min(after, reach)]
                if total > threshold:
                    drawn = i
                    break
        if held > 0 and left <= reach:
            total += ways[0, left]
        searching = drawn < 0 and threshold >= total > 0.0
        # Kinds have run out since the weights were made: draw among the others.
        threshold = random * total
    return drawn
