"""Whole clusters from their random numbers: network, hydrogens, relaxation, energy, forces."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gnnpack.datasets.water_compiled import compiled
from gnnpack.datasets.water_hydrogens import donate, place_hydrogens
from gnnpack.datasets.water_model import (
    BLOCK,
    FAR,
    LANES,
    OUT_OF_REACH,
    PULL,
    Q_TIP4P_F,
    ROOM,
    WaterModel,
    interact,
)
from gnnpack.datasets.water_network import MOST_BONDS, MOST_PLACES, grow_network
from gnnpack.datasets.water_relax import relax

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEPS = 8
"""Steps of relaxation; each costs one computation of the forces."""
ATTEMPTS = 1000
# Å. Relaxed clusters keep every pair of waters far outside of these; whoever does not began with
# atoms on top of each other, and is made anew.
NEAREST_HYDROGENS, NEAREST_BOND = 1.4, 1.5
SHORTEST_ARM, LONGEST_ARM = 0.85, 1.15
# Clusters a thread takes at once: enough that taking costs nothing, few enough to share evenly.
_TASK = 64


class Clusters(NamedTuple):
    """M clusters of A atoms in all, each O, H, H, O, H, H ..."""

    pos: NDArray[np.float32]  # (A, 3) Å, the middle of the oxygens at 0
    offsets: NDArray[np.int64]  # (M+1,)
    energy: NDArray[np.float64]  # (M,) eV
    forces: NDArray[np.float32]  # (A, 3) eV/Å


def make_clusters(
    keys: NDArray[np.uint64],
    num_waters: NDArray[np.int64],
    model: WaterModel = Q_TIP4P_F,
    num_threads: int | None = None,
) -> Clusters:
    """One cluster for each key (M,) of `water_random.keys`, of num_waters (M,) waters.

    Energy and forces are those of the float32 positions, computed in float64. Compiled with numba
    on all cores, or on ``num_threads`` of them, with the same result.
    """
    offsets = np.concatenate(([0], np.cumsum(3 * num_waters))).astype(np.int64)
    pos = np.empty((offsets[-1], 3), dtype=np.float32)
    forces = np.empty_like(pos)
    energy = np.empty(len(keys), dtype=np.float64)
    kernel = compiled(make_in_loops)

    def make(first: int) -> bool:
        last = min(first + _TASK, len(keys))
        # Outside compiled code, numpy warns of hashes that are modulo 2**64.
        with np.errstate(over="ignore"):
            return bool(kernel(keys, offsets, first, last, model, pos, forces, energy))

    with ThreadPoolExecutor(num_threads or _num_cores()) as threads:
        done = list(threads.map(make, range(0, len(keys), _TASK)))
    assert all(done), "no arrangement without overlaps was found for a water cluster"
    return Clusters(pos, offsets, energy, forces)


def make_in_loops(
    keys: Any,
    offsets: Any,
    first: int,
    last: int,
    model: WaterModel,
    pos: Any,
    forces: Any,
    energy: Any,
) -> bool:
    """Fill the rows of clusters first to last - 1; False where one cannot be made."""
    largest = 0
    for cluster in range(first, last):
        largest = max(largest, (offsets[cluster + 1] - offsets[cluster]) // 3)
    oxygen, places = np.zeros((largest, 3)), np.zeros((MOST_PLACES, 4))
    partner, donated = np.zeros((largest, MOST_BONDS), np.int64), np.zeros((largest, MOST_BONDS))
    degree, left = np.zeros(largest, np.int64), np.zeros(largest, np.int64)
    room, speed, arms = np.zeros(ROOM), np.zeros(9 * LANES), np.zeros((2, 3))
    state = np.zeros(1, np.uint64)
    for cluster in range(first, last):
        begin, size = offsets[cluster], (offsets[cluster + 1] - offsets[cluster]) // 3
        state[0] = keys[cluster]
        found = False
        for _ in range(ATTEMPTS):
            if not grow_network(state, oxygen[:size], partner[:size], degree[:size], places):
                continue
            donate(state, partner[:size], degree[:size], donated[:size], left[:size])
            for water in range(size):
                place_hydrogens(state, oxygen, partner, donated, water, arms)
                for axis in range(3):
                    row = axis * LANES + water
                    room[row] = oxygen[water, axis]
                    room[BLOCK + row] = oxygen[water, axis] + arms[0, axis]
                    room[2 * BLOCK + row] = oxygen[water, axis] + arms[1, axis]
            relax(room, speed, size, STEPS, model)
            found = is_sound(room, size)
            if found:
                break
        if not found:
            return False
        keep_positions(room, size, pos[begin : begin + 3 * size])
        energy[cluster] = interact(room, size, model)
        for atom in range(3 * size):
            for axis in range(3):
                place = (atom % 3) * BLOCK + PULL + axis * LANES + atom // 3
                forces[begin + atom, axis] = room[place]
    return True


def keep_positions(room: Any, num_waters: int, pos: Any) -> None:
    """Round positions to float32 about the middle of the oxygens, in ``pos`` and in ``room``."""
    for axis in range(3):
        middle = 0.0
        for water in range(num_waters):
            middle += room[axis * LANES + water]
        middle /= num_waters
        for atom in range(3 * num_waters):
            place = (atom % 3) * BLOCK + axis * LANES + atom // 3
            pos[atom, axis] = np.float32(room[place] - middle)
            room[place] = np.float64(pos[atom, axis])


def is_sound(room: Any, num_waters: int) -> bool:
    """Whether all waters are whole and none lies on another; after `interact`, so FAR is set."""
    columns = (num_waters + 7) // 8 * 8
    crowd = 0
    for water in range(num_waters):
        for site in range(4):
            room[site * BLOCK + FAR + water] = OUT_OF_REACH
        for site in (1, 2):
            begin = site * BLOCK + water
            x, y, z = room[begin], room[begin + LANES], room[begin + 2 * LANES]
            crowd += count_near(room[:BLOCK], columns, x, y, z, NEAREST_BOND)
            crowd += count_near(room[BLOCK : 2 * BLOCK], columns, x, y, z, NEAREST_HYDROGENS)
            crowd += count_near(room[2 * BLOCK : 3 * BLOCK], columns, x, y, z, NEAREST_HYDROGENS)
            dx, dy, dz = x - room[water], y - room[LANES + water], z - room[2 * LANES + water]
            arm = math.sqrt(dx * dx + dy * dy + dz * dz)
            if not SHORTEST_ARM < arm < LONGEST_ARM:
                crowd += 1
        for site in range(4):
            room[site * BLOCK + FAR + water] = 0.0
    return crowd == 0


def count_near(block: Any, columns: int, x: float, y: float, z: float, nearest: float) -> int:
    """Sites of a block that are nearer than ``nearest`` Å."""
    found = 0
    for other in range(columns):
        dx, dy, dz = block[other] - x, block[LANES + other] - y, block[2 * LANES + other] - z
        squared = dx * dx + dy * dy + dz * dz + block[FAR + other]
        found += int(squared < nearest * nearest)
    return found


def _num_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
