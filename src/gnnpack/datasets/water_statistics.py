"""What water clusters look like, for comparison with published ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from gnnpack.datasets.molecules import Molecules

BONDED = 3.2
"""Å between oxygens: the gap between first and second neighbours, where no real cluster has any."""
CUTOFF = 6.0


class WaterStatistics(NamedTuple):
    """Means over all waters, or atoms, of some clusters."""

    oxygen_distance: float  # Å, of oxygens at most BONDED apart
    shortest_oxygen_distance: float  # Å
    bonded_oxygens: float  # of an oxygen, at most BONDED apart
    bond_length: float  # O-H, Å
    angle: float  # H-O-H, degrees
    neighbours: float  # of an atom, at most CUTOFF Å apart
    energy: float  # eV a water


def water_statistics(clusters: Molecules) -> WaterStatistics:
    """Measure clusters whose atoms are O, H, H, O, H, H ...; ValueError for any other."""
    if not np.array_equal(clusters.z, np.tile([8, 1, 1], len(clusters.z) // 3)):
        raise ValueError("Only water clusters whose atoms are O, H, H, O, H, H ... are described.")
    between, near, num_pairs = [], [], 0
    for first, last in zip(clusters.offsets, clusters.offsets[1:]):
        pos = clusters.pos[first:last].astype(np.float64)
        apart = np.sqrt(((pos[:, None] - pos) ** 2).sum(axis=-1))
        num_pairs += int((apart <= CUTOFF).sum()) - len(pos)
        between.append(apart[::3, ::3][np.triu_indices(len(pos) // 3, 1)])
        near.append(between[-1][between[-1] <= BONDED])
    waters = clusters.pos.astype(np.float64).reshape(-1, 3, 3)
    arms = waters[:, 1:] - waters[:, :1]
    lengths = np.sqrt((arms**2).sum(axis=-1))
    cosines = (arms[:, 0] * arms[:, 1]).sum(axis=-1) / (lengths[:, 0] * lengths[:, 1])
    bonded = np.concatenate(near)
    return WaterStatistics(
        oxygen_distance=float(bonded.mean()),
        shortest_oxygen_distance=float(np.concatenate(between).min()),
        bonded_oxygens=2.0 * len(bonded) / len(waters),
        bond_length=float(lengths.mean()),
        angle=float(np.degrees(np.arccos(cosines)).mean()),
        neighbours=num_pairs / len(clusters.z),
        energy=float(clusters.targets["energy"].sum() / len(waters)),
    )
