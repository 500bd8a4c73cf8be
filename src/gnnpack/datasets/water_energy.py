"""The water model on clusters of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnnpack.datasets.water_compiled import compiled
from gnnpack.datasets.water_model import (
    BLOCK,
    LANES,
    MOST_WATERS,
    PULL,
    Q_TIP4P_F,
    ROOM,
    WaterModel,
    interact,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def water_energy(
    pos: ArrayLike, model: WaterModel = Q_TIP4P_F
) -> tuple[float, NDArray[np.float64]]:
    """Energy (eV) and forces (3 N, 3) float64 (eV/Å) of N waters.

    pos (3 N, 3) Å: O, H, H, O, H, H ... ValueError for another shape or more than `MOST_WATERS`.

    >>> far = [[0, 0, 0], [0.9419, 0, 0], [-0.2817, 0.8988, 0]]
    >>> abs(water_energy(far)[0]) < 1e-6
    True
    """
    place = np.asarray(pos, dtype=np.float64)
    num_waters = len(place) // 3
    if place.shape != (3 * num_waters, 3) or not 0 < num_waters <= MOST_WATERS:
        raise ValueError(
            f"pos has the shape {place.shape}; it must be (3 N, 3), three atoms for each of N "
            f"waters, N at most {MOST_WATERS}."
        )
    room = np.zeros(ROOM)
    # room[site, row, column] of the flat array, without copying.
    view = room.reshape(4, BLOCK // LANES, LANES)
    view[:3, :3, :num_waters] = place.reshape(num_waters, 3, 3).transpose(1, 2, 0)
    energy = compiled(interact)(room, num_waters, model)
    first = PULL // LANES
    forces = view[:3, first : first + 3, :num_waters].transpose(2, 0, 1).reshape(-1, 3)
    return float(energy), forces.copy()
