"""Hydrogens on a network of oxygens: who donates each hydrogen bond, and where the H stand."""

from __future__ import annotations

import math
from typing import Any

from gnnpack.datasets.water_network import MOST_BONDS, NOBODY, direction
from gnnpack.datasets.water_random import draw

# Where the model's own forces put them in clusters: bonds 0.94 (free) to 0.98 Å (donated).
BOND, BOND_SPREAD = 0.96, 0.02
ANGLE, ANGLE_SPREAD = math.radians(106.0), math.radians(3.0)


def donate(state: Any, partner: Any, degree: Any, donated: Any, left: Any) -> None:
    """Give each bond a donor, at random, so that nobody donates more than two.

    Bonds are walked in trails that end where no bond is left, and every water on the way donates
    to the next. A water is entered as often as it is left, except at the ends of a trail, of which
    it is at most one: so it donates half its bonds, rounded up or down, and of four bonds two.

    partner (N, 4), degree (N,) int64: the network. Filled: donated (N, 4) int8, 1 where the water
    donates, -1 where it accepts; left (N,) int64 is scratch.
    """
    donated[:] = 0
    left[:] = degree
    for odd in range(1, -1, -1):
        for start in range(len(degree)):
            # Trails between waters with an odd number of bonds first; closed ones remain.
            while left[start] > 0 and left[start] % 2 >= odd:
                walk(state, partner, donated, left, start)


def walk(state: Any, partner: Any, donated: Any, left: Any, start: int) -> None:
    """One trail."""
    water = start
    while left[water] > 0:
        skip = int(draw(state) * left[water])
        place = 0
        while partner[water, place] == NOBODY or donated[water, place] != 0 or skip > 0:
            if partner[water, place] != NOBODY and donated[water, place] == 0:
                skip -= 1
            place += 1
        donated[water, place] = 1
        left[water] -= 1
        reached = partner[water, place]
        for back in range(MOST_BONDS):
            if partner[reached, back] == water:
                donated[reached, back] = -1
        left[reached] -= 1
        water = reached


def place_hydrogens(
    state: Any, oxygen: Any, partner: Any, donated: Any, water: int, arms: Any
) -> None:
    """Vectors (Å) from an oxygen to its two hydrogens, into ``arms`` (2, 3).

    Donated hydrogens point along their bonds, as well as the angle allows; free ones away from
    all neighbours.
    """
    ax, ay, az, bx, by, bz, sx, sy, sz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    donors = 0
    for place in range(MOST_BONDS):
        other = partner[water, place]
        if other == NOBODY:
            continue
        dx = oxygen[other, 0] - oxygen[water, 0]
        dy = oxygen[other, 1] - oxygen[water, 1]
        dz = oxygen[other, 2] - oxygen[water, 2]
        length = math.sqrt(dx * dx + dy * dy + dz * dz)
        dx, dy, dz = dx / length, dy / length, dz / length
        sx, sy, sz = sx + dx, sy + dy, sz + dz
        if donated[water, place] == 1:
            bx, by, bz = ax, ay, az
            ax, ay, az = dx, dy, dz
            donors += 1
    angle = ANGLE + ANGLE_SPREAD * (2.0 * draw(state) - 1.0)
    # Chance decides what neighbours leave open.
    rx, ry, rz = direction(state)
    tx, ty, tz = direction(state)
    if donors == 2:
        # Both bonds are missed by the same angle.
        ax, ay, az = ax + bx + 0.01 * rx, ay + by + 0.01 * ry, az + bz + 0.01 * rz
        unit_vectors(arms, -0.5 * angle, 0.5 * angle, ax, ay, az, bx, by, bz)
    elif donors == 1:
        bx, by, bz = 0.1 * rx - sx, 0.1 * ry - sy, 0.1 * rz - sz
        unit_vectors(arms, 0.0, angle, ax, ay, az, bx, by, bz)
    else:
        ax, ay, az = 0.1 * rx - sx, 0.1 * ry - sy, 0.1 * rz - sz
        unit_vectors(arms, -0.5 * angle, 0.5 * angle, ax, ay, az, tx, ty, tz)
    for arm in range(2):
        length = BOND + BOND_SPREAD * (2.0 * draw(state) - 1.0)
        for axis in range(3):
            arms[arm, axis] *= length


def unit_vectors(
    arms: Any,
    first: float,
    second: float,
    ax: float,
    ay: float,
    az: float,
    bx: float,
    by: float,
    bz: float,
) -> None:
    """Unit vectors at two angles from a, towards b, in the plane of both."""
    length = math.sqrt(ax * ax + ay * ay + az * az)
    ax, ay, az = ax / length, ay / length, az / length
    part = ax * bx + ay * by + az * bz
    bx, by, bz = bx - part * ax, by - part * ay, bz - part * az
    length = math.sqrt(bx * bx + by * by + bz * bz)
    bx, by, bz = bx / length, by / length, bz / length
    for arm in range(2):
        turn = second if arm == 1 else first
        along, beside = math.cos(turn), math.sin(turn)
        arms[arm, 0] = along * ax + beside * bx
        arms[arm, 1] = along * ay + beside * by
        arms[arm, 2] = along * az + beside * bz
