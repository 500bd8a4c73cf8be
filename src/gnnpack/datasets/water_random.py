"""Random numbers that belong to a molecule's number, and an order without a list.

SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STRIDE = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_UNIT = 2.0**-53
_ROUNDS = 4


def mixed(value: Any) -> Any:
    """A uint64, or an array of them, hashed: every bit of the input moves about half of them.

    Products are modulo 2**64; for a single number numpy warns of it outside compiled code.
    """
    value = (value ^ (value >> np.uint64(30))) * _FIRST
    value = (value ^ (value >> np.uint64(27))) * _SECOND
    return value ^ (value >> np.uint64(31))


def draw(state: Any) -> Any:
    """The next number in [0, 1) of a generator; ``state`` (1,) uint64 is advanced."""
    state[0] += _STRIDE
    return np.float64(np.int64(mixed(state[0]) >> np.uint64(11))) * _UNIT


def keys(seed: int, numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Where the generator of each molecule starts, (M,) uint64."""
    start = mixed(np.array([seed], dtype=np.uint64) + _STRIDE)
    hashed: NDArray[np.uint64] = mixed(mixed(numbers.astype(np.uint64)) + start)
    return hashed


def unit(key: NDArray[np.uint64]) -> NDArray[np.float64]:
    """A number in [0, 1) of each key, (M,) float64."""
    return np.asarray((mixed(key + _FIRST) >> np.uint64(11)) * _UNIT, dtype=np.float64)


def shuffled(numbers: NDArray[np.int64], total: int, seed: int) -> NDArray[np.int64]:
    """Places of ``numbers`` in an order of 0 to total - 1 drawn by ``seed``, (M,) int64.

    All numbers below ``total`` have different places, each found alone: a Feistel network over
    the next power of four, walked until the place is below ``total`` (Black, Rogaway, "Ciphers
    with arbitrary finite domains", CT-RSA 2002).

    >>> sorted(shuffled(np.arange(10), 10, seed=3).tolist()) == list(range(10))
    True
    """
    half = np.uint64(max(1, (int(total - 1).bit_length() + 1) // 2))
    mask = (np.uint64(1) << half) - np.uint64(1)
    round_keys = keys(seed, np.arange(_ROUNDS))
    places = numbers.astype(np.uint64)
    walking = np.arange(len(places))
    while len(walking):
        left, right = places[walking] >> half, places[walking] & mask
        for key in round_keys:
            left, right = right, left ^ (mixed(right + key) & mask)
        places[walking] = (left << half) | right
        walking = walking[places[walking] >= np.uint64(total)]
    return places.astype(np.int64)
