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

_ATOMS_OF_WATER = 3
# {distribution: (table, atoms that one unit of its keys stands for)}
_TABLES = {
    "qm9": (QM9, 1),
    "hydronet_500k": (HYDRONET_500K, _ATOMS_OF_WATER),
    "hydronet_2.7m": (HYDRONET_2_7M, _ATOMS_OF_WATER),
    "hydronet_4.5m": (HYDRONET_4_5M, _ATOMS_OF_WATER),
}
DISTRIBUTIONS = tuple(_TABLES)
TITLES = {
    "qm9": "QM9",
    "hydronet_500k": "HydroNet 500k",
    "hydronet_2.7m": "HydroNet 2.7M",
    "hydronet_4.5m": "HydroNet 4.5M",
}


def size_counts(name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sizes in atoms, ascending, and how many molecules have each, both (S,) int64.

    name: one of `DISTRIBUTIONS`. ValueError: another name.

    >>> sizes, counts = size_counts("qm9")
    >>> int(counts.sum()), int(sizes @ counts), int(sizes.max())
    (130831, 2359210, 29)
    """
    if name not in _TABLES:
        raise ValueError(f"no size counts of {name!r}; choose among {', '.join(DISTRIBUTIONS)}.")
    table, atoms_each = _TABLES[name]
    sizes = np.array(sorted(table), dtype=np.int64)
    return sizes * atoms_each, np.array([table[size] for size in sorted(table)], dtype=np.int64)


def shuffled_sizes(name: str, seed: int = 0) -> NDArray[np.int64]:
    """Number of atoms of every molecule, (M,) int64, in an order drawn by seed.

    ValueError: see `size_counts`.
    """
    # RandomState: numpy has frozen its stream, so every version measures the same order.
    return np.random.RandomState(seed).permutation(np.repeat(*size_counts(name)))
