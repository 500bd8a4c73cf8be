"""Oxygens at hydrogen-bond distances: a compact random network, grown one water at a time."""

from __future__ import annotations

import math
from typing import Any

from gnnpack.datasets.water_random import draw

# Å. Places are proposed at the bond lengths of real clusters; a bond that closes a ring may miss
# them a little, and relaxing mends it. Nobody else stands nearer than the second neighbours do.
SHORTEST_BOND, LONGEST_BOND = 2.70, 2.90
NEAREST, FARTHEST_BONDED, NEAREST_STRANGER = 2.6, 3.1, 3.3
FARTHEST_BRIDGED = 5.3
MOST_BONDS = 4
PROPOSALS = 8
MOST_PLACES = 256
TRIES = 200
# Å² by which a place may be farther from the middle for one more hydrogen bond.
BOND_VALUE = 4.0
NOBODY = -1


def grow_network(state: Any, oxygen: Any, partner: Any, degree: Any, places: Any) -> bool:
    """Place N oxygens; False where no place was left for one of them.

    Every new water proposes places one bond from itself, or from itself and another. All places
    proposed so far are kept while nobody stands too near, and the next water takes the one with
    the most bonds and nearest the middle.

    state (1,) uint64: the molecule's random numbers. Filled: oxygen (N, 3) float64 Å, partner
    (N, 4) int64 the waters each is bonded to, degree (N,) int64 how many these are. Scratch:
    places (MOST_PLACES, 4) float64, x, y, z and the bonds a water there would have.
    """
    degree[:] = 0
    partner[:] = NOBODY
    oxygen[0, :] = 0.0
    num_places = 0
    mx, my, mz = 0.0, 0.0, 0.0
    for water in range(1, len(oxygen)):
        for _ in range(PROPOSALS):
            num_places = propose(state, oxygen, degree, water, water - 1, places, num_places)
        taken = best_place(
            oxygen, degree, water, mx / water, my / water, mz / water, places, num_places
        )
        for _ in range(TRIES):
            if taken != NOBODY:
                break
            anyone = int(draw(state) * water)
            num_places = propose(state, oxygen, degree, water, anyone, places, 0)
            taken = best_place(oxygen, degree, water, 0.0, 0.0, 0.0, places, num_places)
        if taken == NOBODY:
            return False
        x, y, z = places[taken, 0], places[taken, 1], places[taken, 2]
        oxygen[water, 0], oxygen[water, 1], oxygen[water, 2] = x, y, z
        mx, my, mz = mx + x, my + y, mz + z
        bind(oxygen, partner, degree, water)
        num_places = keep_places(places, num_places, x, y, z)
    return True


def propose(
    state: Any, oxygen: Any, degree: Any, water: int, one: int, places: Any, num_places: int
) -> int:
    """Add a place one bond from ``one``, or from it and another water; how many there are now."""
    if degree[one] == MOST_BONDS or num_places == MOST_PLACES:
        return num_places
    length = SHORTEST_BOND + (LONGEST_BOND - SHORTEST_BOND) * draw(state)
    ux, uy, uz = direction(state)
    x, y, z = oxygen[one, 0], oxygen[one, 1], oxygen[one, 2]
    two = int(draw(state) * water)
    dx, dy, dz = oxygen[two, 0] - x, oxygen[two, 1] - y, oxygen[two, 2] - z
    apart = math.sqrt(dx * dx + dy * dy + dz * dz)
    if degree[two] < MOST_BONDS and NEAREST_STRANGER < apart < FARTHEST_BRIDGED:
        dx, dy, dz = dx / apart, dy / apart, dz / apart
        # A circle has these two bond lengths: `along` the line between the two, `beside` it.
        other = SHORTEST_BOND + (LONGEST_BOND - SHORTEST_BOND) * draw(state)
        along = 0.5 * (apart + (length * length - other * other) / apart)
        part = ux * dx + uy * dy + uz * dz
        ux, uy, uz = ux - part * dx, uy - part * dy, uz - part * dz
        beside = math.sqrt((length * length - along * along) / (ux * ux + uy * uy + uz * uz))
        x, y, z = (
            x + along * dx + beside * ux,
            y + along * dy + beside * uy,
            z + along * dz + beside * uz,
        )
    else:
        x, y, z = x + length * ux, y + length * uy, z + length * uz
    bonds = count_bonds(oxygen, degree, water, x, y, z)
    if bonds == 0:
        return num_places
    places[num_places, 0], places[num_places, 1], places[num_places, 2] = x, y, z
    places[num_places, 3] = bonds
    return num_places + 1


def best_place(
    oxygen: Any,
    degree: Any,
    water: int,
    mx: float,
    my: float,
    mz: float,
    places: Any,
    num_places: int,
) -> int:
    """The place with the best score whose partners all have a bond to give; or NOBODY."""
    while True:
        best, taken = -math.inf, NOBODY
        for place in range(num_places):
            dx, dy, dz = places[place, 0] - mx, places[place, 1] - my, places[place, 2] - mz
            score = BOND_VALUE * places[place, 3] - (dx * dx + dy * dy + dz * dz)
            if places[place, 3] > 0.0 and score > best:
                best, taken = score, place
        if taken == NOBODY:
            return NOBODY
        bonds = count_bonds(
            oxygen, degree, water, places[taken, 0], places[taken, 1], places[taken, 2]
        )
        if bonds > 0:
            return taken
        places[taken, 3] = 0.0


def count_bonds(oxygen: Any, degree: Any, water: int, x: float, y: float, z: float) -> int:
    """Hydrogen bonds an oxygen here would have; 0 where it is too near to somebody."""
    bonds = 0
    for other in range(water):
        dx, dy, dz = oxygen[other, 0] - x, oxygen[other, 1] - y, oxygen[other, 2] - z
        squared = dx * dx + dy * dy + dz * dz
        if squared > NEAREST_STRANGER * NEAREST_STRANGER:
            continue
        bonds += 1
        misses = squared < NEAREST * NEAREST or squared > FARTHEST_BONDED * FARTHEST_BONDED
        if misses or degree[other] == MOST_BONDS or bonds > MOST_BONDS:
            return 0
    return bonds


def bind(oxygen: Any, partner: Any, degree: Any, water: int) -> None:
    """Note the bonds of a water that was placed."""
    for other in range(water):
        dx = oxygen[other, 0] - oxygen[water, 0]
        dy = oxygen[other, 1] - oxygen[water, 1]
        dz = oxygen[other, 2] - oxygen[water, 2]
        if dx * dx + dy * dy + dz * dz < NEAREST_STRANGER * NEAREST_STRANGER:
            partner[water, degree[water]], partner[other, degree[other]] = other, water
            degree[water] += 1
            degree[other] += 1


def keep_places(places: Any, num_places: int, x: float, y: float, z: float) -> int:
    """Forget places too near to a new water, and count its bond at others; how many are left."""
    kept = 0
    for place in range(num_places):
        dx, dy, dz = places[place, 0] - x, places[place, 1] - y, places[place, 2] - z
        squared = dx * dx + dy * dy + dz * dz
        bonded = NEAREST * NEAREST < squared < FARTHEST_BONDED * FARTHEST_BONDED
        if places[place, 3] > 0.0 and (bonded or squared > NEAREST_STRANGER * NEAREST_STRANGER):
            for column in range(4):
                places[kept, column] = places[place, column]
            if bonded:
                places[kept, 3] += 1.0
            kept += 1
    return kept


def direction(state: Any) -> Any:
    """A random unit vector (x, y, z), all equally likely: a point in a ball, pushed out."""
    x, y, z, squared = 0.0, 0.0, 0.0, 0.0
    while not 1e-4 < squared < 1.0:
        x, y, z = 2.0 * draw(state) - 1.0, 2.0 * draw(state) - 1.0, 2.0 * draw(state) - 1.0
        squared = x * x + y * y + z * z
    length = math.sqrt(squared)
    return x / length, y / length, z / length
