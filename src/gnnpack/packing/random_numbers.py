"""Random numbers that can be had in any order, one alone or many at once."""

from __future__ import annotations

from typing import Any

import numpy as np

# SplitMix64 (Steele, Lea, Flood 2014): number i of a key is a hash of key + i * _STRIDE.
_STRIDE = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_UNIT = 2.0**-53


def unit(key: np.uint64, number: Any) -> Any:
    """The number-th random number of a key, in [0, 1); of an array of numbers, each theirs.

    Hashes are modulo 2**64: outside compiled code, numpy warns of it for a single number.
    """
    mixed = key + np.uint64(number) * _STRIDE
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    mixed = (mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)
    return np.float64(np.int64(mixed)) * _UNIT
