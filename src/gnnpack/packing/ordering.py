"""Orders of molecules: sorted by key, or drawn at random from a key."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.compiled import compiled, compiled_if_large

# Fewer exchanges than this are made by plain Python before numba is imported.
_WORTH_COMPILING = 2**14
_DRAWS = 512

# SplitMix64 (Steele, Lea, Flood 2014): draw i of a key is a hash of key + i * _STRIDE, so any
# draw can be had alone, by compiled code and by numpy alike.
_STRIDE = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_UNIT = 2.0**-53


def stable_order(values: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Positions that sort non-negative integers (M,), equal ones in the order given; int64 (M,).

    >>> stable_order(np.array([3, 1, 3, 1])).tolist()
    [1, 3, 0, 2]
    """
    # numpy sorts 16-bit integers by radix, five times as fast as wider ones.
    largest = int(values.max()) if values.size else 0
    narrow = values.astype(np.uint16) if largest < 2**16 else values
    return np.argsort(narrow, kind="stable").astype(np.int64, copy=False)


def sorted_by(keys: NDArray[Any], starts: NDArray[np.int64], values: NDArray[Any]) -> NDArray[Any]:
    """Values (M,) sorted by integer keys (M,), equal keys in the order given.

    starts: (K+1,) int64, how many keys are smaller than 0, 1, ..., K.

    >>> sorted_by(np.array([1, 0, 1]), np.array([0, 1, 3]), np.array([7, 8, 9])).tolist()
    [8, 7, 9]
    """
    kernel = compiled_if_large(count_out, values.size)
    if kernel is None:
        ordered: NDArray[Any] = values[stable_order(keys)]
        return ordered
    ordered = np.empty_like(values)
    kernel(keys, starts, values, ordered)
    return ordered


def count_out(
    keys: NDArray[Any],
    starts: NDArray[np.int64],
    values: NDArray[Any],
    ordered: NDArray[Any],
) -> None:
    """`sorted_by` for numba: each value goes to the next place of its key."""
    following = starts.copy()
    for place in range(keys.size):
        key = keys[place]
        ordered[following[key]] = values[place]
        following[key] += 1


def shuffle_blocks(values: NDArray[Any], starts: NDArray[np.int64], key: np.uint64) -> None:
    """Shuffle values[starts[b]:starts[b+1]] in place, each block b within itself.

    values: (M,); starts: (B+1,) int64 rising from 0 to M. Fisher and Yates with one draw a place,
    uniform to 2**-53; a pure function of (starts, key), with or without numba.
    """
    kernel = compiled(exchange_places) if values.size >= _WORTH_COMPILING else None
    (kernel or exchange_places_by_list)(values, starts, key)


def shuffle_the_rest(values: NDArray[Any], num_drawn: int, key: np.uint64) -> None:
    """Shuffle values (M,) of which the first num_drawn already are in random order, in place.

    The first steps of Fisher and Yates, which bring the others among these; the remaining steps
    would only shuffle what is shuffled, and scatter what lies together in memory.
    """
    if num_drawn == 0:
        shuffle_blocks(values, np.array([0, values.size]), key)
        return
    places = np.arange(num_drawn, values.size)[::-1]
    draws = _units(key, places)
    others = (draws * (places + 1)).astype(np.int64)
    for one, other in zip(places.tolist(), others.tolist()):
        held = values[one]
        values[one] = values[other]
        values[other] = held


def exchange_places(values: NDArray[Any], starts: NDArray[np.int64], key: np.uint64) -> None:
    """`shuffle_blocks` for numba."""
    # Draws before exchanges: the processor makes several of them at once.
    others = np.empty(_DRAWS, dtype=np.int64)
    for block in range(starts.size - 1):
        start = starts[block]
        top = starts[block + 1] - 1
        while top > start:
            num_draws = min(_DRAWS, top - start)
            for i in range(num_draws):
                draw = key + np.uint64(top - i) * _STRIDE
                draw = (draw ^ (draw >> np.uint64(30))) * _FIRST
                draw = (draw ^ (draw >> np.uint64(27))) * _SECOND
                draw = (draw ^ (draw >> np.uint64(31))) >> np.uint64(11)
                unit = np.float64(np.int64(draw)) * _UNIT
                others[i] = start + np.int64(unit * np.float64(top - i - start + 1))
            for i in range(num_draws):
                held = values[top - i]
                values[top - i] = values[others[i]]
                values[others[i]] = held
            top -= num_draws


def exchange_places_by_list(
    values: NDArray[Any], starts: NDArray[np.int64], key: np.uint64
) -> None:
    """`shuffle_blocks` without numba: draws by numpy, exchanges by plain Python."""
    place = np.arange(values.size, dtype=np.int64)
    start = np.repeat(starts[:-1], np.diff(starts))
    others = start + (_units(key, place) * (place - start + 1)).astype(np.int64)
    held = values.tolist()
    for one, other in zip(reversed(range(len(held))), others[::-1].tolist()):
        held[one], held[other] = held[other], held[one]
    values[:] = held


def _units(key: np.uint64, draws: NDArray[np.int64]) -> NDArray[np.float64]:
    """Draws number `draws` (D,) of a key, each in [0, 1)."""
    draw = key + draws.astype(np.uint64) * _STRIDE
    draw = (draw ^ (draw >> np.uint64(30))) * _FIRST
    draw = (draw ^ (draw >> np.uint64(27))) * _SECOND
    draw = (draw ^ (draw >> np.uint64(31))) >> np.uint64(11)
    return np.asarray(draw.astype(np.int64) * _UNIT)
