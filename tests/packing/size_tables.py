"""How many molecules of each size the data sets hold: exact packing figures without the data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Counted from column N_atoms of qm9pack 1.0.3 (qm9_part1-3.csv): 130,831 molecules,
# 2,359,210 atoms. {number of atoms: number of molecules}
QM9 = {
    **{3: 2, 4: 4, 5: 5, 6: 12, 7: 20, 8: 65, 9: 172, 10: 483, 11: 1053, 12: 2189, 13: 4027},
    **{14: 6758, 15: 10216, 16: 13824, 17: 16969, 18: 17442, 19: 18146, 20: 12403, 21: 13166},
    **{22: 4428, 23: 6362, 24: 712, 25: 1923, 26: 59, 27: 356, 29: 35},
}

# Size counts published with the code of Helal et al. (arXiv 2211.13853,
# graphcore-research/hydronet-gnn). {number of waters: number of clusters}
HYDRONET_500K = {
    **{4: 1, 5: 5, 6: 23, 7: 87, 8: 97, 9: 763, 10: 2106, 11: 4917, 12: 7967, 13: 10704},
    **{14: 14935, 15: 17822, 16: 17662, 17: 19534, 18: 20736, 19: 19489, 20: 22139},
    **{21: 57318, 22: 72693, 23: 64525, 24: 57671, 25: 88806},
}
HYDRONET_2_7M = {
    **{3: 2, 4: 10, 5: 19, 6: 106, 7: 470, 8: 577, 9: 4126, 10: 11448, 11: 26824, 12: 42641},
    **{13: 58452, 14: 80533, 15: 95820, 16: 96859, 17: 106987, 18: 112679, 19: 106808},
    **{20: 121376, 21: 314062, 22: 394711, 23: 353964, 24: 315329, 25: 482907},
}
HYDRONET_4_5M = {
    **HYDRONET_2_7M,
    **{26: 530503, 27: 392145, 28: 276037, 29: 295831, 30: 243514},
}


def histogram(table: dict[int, int], atoms_each: int = 1) -> tuple[NDArray[np.int64], ...]:
    """Sizes in atoms and their counts, both (S,) int64; a water has atoms_each=3."""
    sizes = sorted(table)
    return (
        np.array([size * atoms_each for size in sizes], dtype=np.int64),
        np.array([table[size] for size in sizes], dtype=np.int64),
    )


def molecules(table: dict[int, int], atoms_each: int = 1) -> NDArray[np.int64]:
    """Number of atoms of every molecule, (M,) int64, in a fixed random order."""
    sizes, counts = histogram(table, atoms_each)
    return np.random.default_rng(0).permutation(np.repeat(sizes, counts))
