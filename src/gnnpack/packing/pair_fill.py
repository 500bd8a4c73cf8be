"""Fill packs one after the other from a buffer of waiting molecules; kernels for numba."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.random_numbers import unit

# Molecules drawn before a pack counts as closed, when they are too many in pairs.
_REDRAWS = 12
# Weighs what is left free when there is nothing to spare.
_SPARE = 0.3


def pack_after_pack(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    stream: NDArray[np.int64],
    limits: NDArray[np.int64],
    left: NDArray[np.int64],
    key: np.uint64,
    tries: int,
    waiting: NDArray[np.int64],
    members: NDArray[np.int64],
    offsets: NDArray[np.int64],
) -> int:
    """`pack_rest` for numba: writes members and offsets; returns the number of packs.

    first, second (R,): sizes, ascending by first, then second. stream (R,): the order in which
    molecules come; waiting (B,): the first of them, ascending. limits, left (3,): first sizes,
    second sizes and molecules of a pack, and of all that is not yet packed.
    """
    num_waiting = waiting.size
    fed = num_waiting
    used = np.zeros(first.size, dtype=np.int64)
    chosen = np.empty(first.size, dtype=np.int64)
    best = np.empty(first.size, dtype=np.int64)
    attempt, drawn, packs, slot = 0, 0, 0, 0
    while num_waiting > 0:
        first_packs, second_packs = left[0] / limits[0], left[1] / limits[1]
        needed = math.ceil(max(first_packs, second_packs, left[2] / limits[2]))
        first_price = 1.0 / ((needed - first_packs + _SPARE) * limits[0])
        second_price = 1.0 / ((needed - second_packs + _SPARE) * limits[1])
        chosen[0] = hardest_to_place(first, second, waiting, num_waiting, limits)
        lowest = np.inf
        num_best = 0
        for _ in range(tries):
            attempt += 1
            held, a, p, drawn = fill_at_random(
                first, second, waiting, num_waiting, limits, key, drawn, attempt, used, chosen
            )
            cost = first_price * a + second_price * p
            if cost < lowest:
                lowest = cost
                num_best = held
                for place in range(held):
                    best[place] = chosen[place]
            if lowest <= 0.0:
                break
        attempt += 1
        for place in range(num_best):
            one = best[place]
            used[one] = attempt
            members[slot] = one
            slot += 1
            left[0] -= first[one]
            left[1] -= second[one]
            left[2] -= 1
        packs += 1
        offsets[packs] = slot
        num_waiting = take_out(waiting, num_waiting, used, attempt)
        while num_waiting < waiting.size and fed < stream.size:
            put_in(waiting, num_waiting, stream[fed])
            num_waiting += 1
            fed += 1
    return packs


def hardest_to_place(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    waiting: NDArray[np.int64],
    num_waiting: int,
    limits: NDArray[np.int64],
) -> int:
    """The molecule of waiting[:num_waiting] that takes the largest shares of both limits."""
    hardest = waiting[0]
    most = -1.0
    for place in range(num_waiting):
        one = waiting[place]
        load = first[one] / limits[0] + second[one] / limits[1]
        if load > most:
            most = load
            hardest = one
    return int(hardest)


def fill_at_random(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    waiting: NDArray[np.int64],
    num_waiting: int,
    limits: NDArray[np.int64],
    key: np.uint64,
    drawn: int,
    attempt: int,
    used: NDArray[np.int64],
    chosen: NDArray[np.int64],
) -> tuple[int, int, int, int]:
    """Add to chosen[0] until nothing fits: (molecules held, first free, second free, draws made).

    At each step the molecule that would close the pack best is looked up; if it leaves nothing
    free in the first size, it does close the pack, otherwise a random molecule comes next.
    """
    one = chosen[0]
    used[one] = attempt
    held = 1
    a, p = limits[0] - first[one], limits[1] - second[one]
    while held < limits[2]:
        end = last_that_fits(first, second, waiting, num_waiting, a, limits[1]) + 1
        one = -1
        if end > 0 and first[waiting[end - 1]] == a:
            place = last_that_fits(first, second, waiting, end, a, p)
            while place >= 0 and used[waiting[place]] == attempt:
                place -= 1
            if place >= 0 and first[waiting[place]] == a:
                one = waiting[place]
        for _ in range(_REDRAWS):
            if one >= 0 or end == 0:
                break
            other = waiting[int(unit(key, drawn) * end)]
            drawn += 1
            if used[other] != attempt and second[other] <= p:
                one = other
        # Where chance finds nothing, the largest; among all only if most have been used up.
        place = end - 1
        farthest = 0 if 2 * held > num_waiting else max(0, end - _REDRAWS)
        while one < 0 and place >= farthest:
            other = waiting[place]
            if used[other] != attempt and second[other] <= p:
                one = other
            place -= 1
        if one < 0:
            break
        used[one] = attempt
        chosen[held] = one
        held += 1
        a -= first[one]
        p -= second[one]
    return held, a, p, drawn


def last_that_fits(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    waiting: NDArray[np.int64],
    num_waiting: int,
    a: int,
    p: int,
) -> int:
    """The last place of waiting[:num_waiting] whose (first, second) is at most (a, p), or -1."""
    low, high = 0, num_waiting
    while low < high:
        middle = (low + high) // 2
        one = waiting[middle]
        if first[one] < a or (first[one] == a and second[one] <= p):
            low = middle + 1
        else:
            high = middle
    return low - 1


def take_out(
    waiting: NDArray[np.int64], num_waiting: int, used: NDArray[np.int64], attempt: int
) -> int:
    """Remove from waiting[:num_waiting] what `attempt` has used; how many stay."""
    kept = 0
    for place in range(num_waiting):
        if used[waiting[place]] != attempt:
            waiting[kept] = waiting[place]
            kept += 1
    return kept


def put_in(waiting: NDArray[np.int64], num_waiting: int, one: int) -> None:
    """Insert `one` into the ascending waiting[:num_waiting]."""
    place = num_waiting
    while place > 0 and waiting[place - 1] > one:
        waiting[place] = waiting[place - 1]
        place -= 1
    waiting[place] = one
