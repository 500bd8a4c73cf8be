"""Clusters of one size as `Molecules`, and how many of each size there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, NamedTuple

import numpy as np

from gnnpack.datasets.molecules import Molecules
from gnnpack.units import KCAL_PER_MOL_TO_EV

if TYPE_CHECKING:
    from numpy.typing import NDArray

ATOMS_OF_WATER = 3
OXYGEN, HYDROGEN = 8, 1


class Wanted(NamedTuple):
    """The clusters of one size: ``num_clusters`` are published, numbered from ``first_id``.

    ``ids`` (ascending) are those of the subset, None = all of them.
    """

    num_waters: int
    first_id: int
    num_clusters: int
    ids: NDArray[np.int64] | None = None

    @property
    def num_atoms(self) -> int:
        """Atoms of one cluster."""
        return ATOMS_OF_WATER * self.num_waters


def first_ids(counts: Mapping[int, int]) -> dict[int, int]:
    """Number of waters -> the id of the first cluster that large.

    Ids number all clusters by size and then by place in their file, from 0: the numbers that
    split_00_small.npz uses.

    >>> first_ids({3: 2, 4: 10, 5: 19})
    {3: 0, 4: 2, 5: 12}
    """
    sizes = sorted(counts)
    starts = np.cumsum([0, *(counts[size] for size in sizes)]).tolist()
    return dict(zip(sizes, starts))


def to_molecules(
    z: NDArray[np.uint8],
    pos: NDArray[np.float32],
    kcal: NDArray[np.float64],
    ids: NDArray[np.int64],
    wanted: Wanted,
    place: str,
) -> Molecules | None:
    """The wanted ones of F clusters: z (F, N), pos (F, N, 3) Å, kcal (F,) kcal/mol, ids (F,).

    None when none is wanted. ValueError naming ``place`` for atoms that do not make waters.
    """
    oxygens = (z == OXYGEN).sum(axis=1)
    hydrogens = (z == HYDROGEN).sum(axis=1)
    wrong = np.flatnonzero((oxygens != wanted.num_waters) | (hydrogens != 2 * wanted.num_waters))
    if len(wrong):
        raise ValueError(
            f"{place}: cluster {ids[wrong[0]] - wanted.first_id} has {oxygens[wrong[0]]} O and "
            f"{hydrogens[wrong[0]]} H where {wanted.num_waters} waters are expected; the file is "
            "damaged. Fetch it again."
        )
    keep = slice(None) if wanted.ids is None else _rows_among(ids, wanted.ids)
    z, pos, kcal, ids = z[keep], pos[keep], kcal[keep], ids[keep]
    if not len(ids):
        return None
    return Molecules(
        z=z.reshape(-1),
        pos=pos.reshape(-1, 3),
        offsets=np.arange(len(ids) + 1, dtype=np.int64) * wanted.num_atoms,
        ids=ids,
        targets={"energy": kcal * KCAL_PER_MOL_TO_EV},
    )


def _rows_among(ids: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of ``ids`` that ``chosen`` (ascending) holds; not np.isin, which would sort it anew."""
    place = np.minimum(np.searchsorted(chosen, ids), len(chosen) - 1)
    return np.flatnonzero(chosen[place] == ids)


def check_count(found: int, wanted: Wanted, place: str) -> None:
    """ValueError when a file does not hold as many clusters as are published."""
    if found != wanted.num_clusters:
        raise ValueError(
            f"{place} holds {found:,} clusters of {wanted.num_waters} waters where "
            f"{wanted.num_clusters:,} are published. It is damaged or of another release; fetch "
            "it again."
        )
