"""Some steps downhill: waters move and turn to where the model's forces push them."""

from __future__ import annotations

from typing import Any

from gnnpack.datasets.water_model import BLOCK, LANES, PULL, WaterModel, interact

# Å² / eV: about the inverse of the stiffness of each kind of movement. An O-H bond is some
# fifteen times stiffer than a hydrogen bond or than the turning of a water.
MOVE, TURN, STRETCH = 0.20, 0.15, 0.015
INERTIA = 0.5
LARGEST_STEP = 0.12


def relax(room: Any, speed: Any, num_waters: int, steps: int, model: WaterModel) -> None:
    """Descend ``steps`` times with inertia; ``room`` as `interact` has it, ``speed`` scratch.

    A water's oxygen goes where the force on the whole water pushes, its O-H vectors turn and
    stretch as the force on the hydrogen says. No step is longer than LARGEST_STEP Å an axis.
    """
    speed[:] = 0.0
    for _ in range(steps):
        interact(room, num_waters, model)
        for water in range(num_waters):
            push(room, speed, water)
            for row in range(0, 3 * LANES, LANES):
                moved = limited(speed[row + water])
                room[row + water] += moved
                for site in (1, 2):
                    place = site * BLOCK + row + water
                    room[place] += moved + limited(speed[3 * site * LANES + row + water])


def limited(step: float) -> float:
    """A step cut to LARGEST_STEP."""
    return min(LARGEST_STEP, max(-LARGEST_STEP, step))


def push(room: Any, speed: Any, water: int) -> None:
    """Speeds of a water's oxygen and of its O-H vectors after the forces of this step."""
    for row in range(0, 3 * LANES, LANES):
        force = 0.0
        for site in range(3):
            force += room[site * BLOCK + PULL + row + water]
        speed[row + water] = INERTIA * speed[row + water] + MOVE * force
    for site in (1, 2):
        length, along = 0.0, 0.0
        for row in range(0, 3 * LANES, LANES):
            arm = room[site * BLOCK + row + water] - room[row + water]
            length += arm * arm
            along += arm * room[site * BLOCK + PULL + row + water]
        for row in range(0, 3 * LANES, LANES):
            arm = room[site * BLOCK + row + water] - room[row + water]
            force = room[site * BLOCK + PULL + row + water]
            stretched = along * arm / length
            place = 3 * site * LANES + row + water
            gain = TURN * (force - stretched) + STRETCH * stretched
            speed[place] = INERTIA * speed[place] + gain
