"""Packs that keep a limit on pairs too.

A pack is drawn by its atoms. Then molecules are exchanged for others of their kind, until its
pairs are at least those usual for its atoms, and within the limit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.stream_buffer import (
    ALL_ATOMS,
    ALL_PAIRS,
    ATOMS,
    COUNT,
    FIRST,
    FOLLOWING,
    GRAIN,
    MAX_ATOMS,
    MAX_MOLECULES,
    MAX_PAIRS,
    PAIRS,
    WAITING,
    kind_of,
    put_back,
    take,
)
from gnnpack.packing.stream_draw import draw_pack
from gnnpack.packing.stream_weights import ACTIVE, KIND, OVERDUE, UNIT

# Packs drawn, at most, of which the one is taken that loses least.
_TRIALS = 8


def choose_within_pairs(
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
    """`draw_pack` under a limit on pairs: of some packs drawn and mended, the best."""
    trial = np.empty(marks[WAITING], dtype=np.int64)
    held = 0
    least_loss = np.inf
    trials = 0
    while trials < _TRIALS and least_loss > 0.0:
        drawn = draw_pack(slots, queues, marks, limits, kinds, weights, ways, key, trial, 0)
        drawn, loss = mend_pairs(slots, queues, marks, limits, kinds, trial, drawn)
        if loss < least_loss:
            least_loss = loss
            held = drawn
            for place in range(held):
                packed[opened + place] = trial[place]
        for place in range(drawn):
            kind = kind_of(slots[ATOMS, trial[place]], limits[GRAIN])
            put_back(slots, queues, kind, trial[place])
        trials += 1
    for place in range(opened, opened + held):
        take(slots, queues, kind_of(slots[ATOMS, packed[place]], limits[GRAIN]), packed[place])
    return held


def mend_pairs(
    slots: NDArray[np.int64],
    queues: NDArray[np.int64],
    marks: NDArray[np.int64],
    limits: NDArray[np.int64],
    kinds: NDArray[np.int64],
    trial: NDArray[np.int64],
    held: int,
) -> tuple[int, float]:
    """Make trial[:held] keep the limit on pairs: (how many are held then, what is lost).

    It should hold at least the pairs usual for its atoms, for all must be packed in the end; what
    is missing of them is lost, and the pairs usual for the atoms that are missing.
    """
    usual = marks[ALL_PAIRS] / marks[ALL_ATOMS]
    # A molecule that is overdue stays.
    fixed = 1 if marks[OVERDUE] >= 0 else 0
    atoms, pairs = sum_up(slots, trial, held)
    most = limits[MAX_PAIRS]
    least = min(usual * atoms, 0.999 * most)
    pairs = exchange(slots, queues, limits, trial, fixed, held, pairs, least)
    if pairs > most:
        held = leave_out(slots, queues, limits, trial, fixed, held, pairs)
        held = top_up(slots, queues, marks, limits, kinds, trial, held)
    atoms, pairs = sum_up(slots, trial, held)
    units_missing = (limits[MAX_ATOMS] - atoms) // marks[UNIT]
    return held, max(least - pairs, 0.0) + usual * units_missing * marks[UNIT]


def sum_up(slots: NDArray[np.int64], trial: NDArray[np.int64], held: int) -> tuple[int, int]:
    """Atoms and pairs of trial[:held]."""
    atoms, pairs = 0, 0
    for place in range(held):
        atoms += slots[ATOMS, trial[place]]
        pairs += slots[PAIRS, trial[place]]
    return atoms, pairs


def exchange(
    slots: NDArray[np.int64],
    queues: NDArray[np.int64],
    limits: NDArray[np.int64],
    trial: NDArray[np.int64],
    fixed: int,
    held: int,
    pairs: int,
    least: float,
) -> int:
    """Exchange trial[fixed:held] for others of their kinds until pairs are right; how many then."""
    most = limits[MAX_PAIRS]
    place = held - 1
    while place >= fixed and not least <= pairs <= most:
        slot = trial[place]
        kind = kind_of(slots[ATOMS, slot], limits[GRAIN])
        others = pairs - slots[PAIRS, slot]
        better = slot
        nearest = off_target(pairs, least, most)
        waiting = queues[FIRST, kind] if queues[COUNT, kind] > 0 else -1
        while waiting >= 0:
            off = off_target(others + slots[PAIRS, waiting], least, most)
            if off < nearest:
                nearest = off
                better = waiting
            waiting = slots[FOLLOWING, waiting]
        if better != slot:
            take(slots, queues, kind, better)
            put_back(slots, queues, kind, slot)
            trial[place] = better
            pairs = others + slots[PAIRS, better]
        place -= 1
    return pairs


def off_target(pairs: int, least: float, most: int) -> float:
    """How bad so many pairs are: too many are worse than any too few."""
    return float(pairs) if pairs > most else max(least - pairs, 0.0)


def leave_out(
    slots: NDArray[np.int64],
    queues: NDArray[np.int64],
    limits: NDArray[np.int64],
    trial: NDArray[np.int64],
    fixed: int,
    held: int,
    pairs: int,
) -> int:
    """Put molecules of trial[fixed:held] back until the limit is kept; how many are held then.

    The smallest molecule that is enough, or, if none is, the one with most pairs.
    """
    while pairs > limits[MAX_PAIRS]:
        out = fixed
        for place in range(fixed + 1, held):
            enough = pairs - slots[PAIRS, trial[place]] <= limits[MAX_PAIRS]
            was_enough = pairs - slots[PAIRS, trial[out]] <= limits[MAX_PAIRS]
            if enough and was_enough:
                better = slots[ATOMS, trial[place]] < slots[ATOMS, trial[out]]
            else:
                better = slots[PAIRS, trial[place]] > slots[PAIRS, trial[out]]
            if better:
                out = place
        slot = trial[out]
        pairs -= slots[PAIRS, slot]
        held -= 1
        trial[out] = trial[held]
        put_back(slots, queues, kind_of(slots[ATOMS, slot], limits[GRAIN]), slot)
    return held


def top_up(
    slots: NDArray[np.int64],
    queues: NDArray[np.int64],
    marks: NDArray[np.int64],
    limits: NDArray[np.int64],
    kinds: NDArray[np.int64],
    trial: NDArray[np.int64],
    held: int,
) -> int:
    """Add to trial[:held] the largest molecule that fits as long as one does; how many then.

    Of one kind, the molecule with most pairs.
    """
    atoms, pairs = sum_up(slots, trial, held)
    place = marks[ACTIVE] - 1
    while place >= 0 and held < limits[MAX_MOLECULES]:
        kind = kinds[KIND, place]
        richest = -1
        waiting = queues[FIRST, kind] if queues[COUNT, kind] > 0 else -1
        while waiting >= 0:
            fits = (
                atoms + slots[ATOMS, waiting] <= limits[MAX_ATOMS]
                and pairs + slots[PAIRS, waiting] <= limits[MAX_PAIRS]
            )
            if fits and (richest < 0 or slots[PAIRS, waiting] > slots[PAIRS, richest]):
                richest = waiting
            waiting = slots[FOLLOWING, waiting]
        if richest < 0:
            place -= 1
        else:
            take(slots, queues, kind, richest)
            trial[held] = richest
            held += 1
            atoms += slots[ATOMS, richest]
            pairs += slots[PAIRS, richest]
    return held
