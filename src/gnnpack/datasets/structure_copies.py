"""Molecules that are in the data more than once."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE = 1e-3
"""Å; positions are compared when rounded to it."""


def fingerprint(numbers: NDArray[np.int64], positions: NDArray[np.float64]) -> int:
    """64 bits of a molecule that the order of its atoms does not change.

    ``positions`` (n, 3) Å. Turned or moved molecules count as others, and so may two whose
    positions round to either side of a thousandth. Among ten million different molecules two share
    their bits with a chance of 3e-6.
    """
    rounded = np.round(positions / TOLERANCE).astype(np.int64)
    order = np.lexsort((rounded[:, 2], rounded[:, 1], rounded[:, 0], numbers))
    digest = hashlib.blake2b(digest_size=8)
    digest.update(np.ascontiguousarray(numbers[order], dtype="<i8").tobytes())
    digest.update(np.ascontiguousarray(rounded[order], dtype="<i8").tobytes())
    return int.from_bytes(digest.digest(), "little")


class Copies:
    """Which fingerprints came before, and whose they were: 16 bytes a molecule."""

    def __init__(self) -> None:
        # Sorted runs, each more than twice the next: a molecule is merged a few times only.
        self._runs: list[tuple[NDArray[np.uint64], NDArray[np.int64]]] = []

    def first_owners(self, prints: NDArray[np.uint64], ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each new molecule the id of the first with its fingerprint, or -1 for its own.

        prints (n,), ids (n,) above all ids before. The new ones are remembered.
        """
        owners = np.full(len(prints), -1, dtype=np.int64)
        for known, known_ids in self._runs:
            found = np.minimum(np.searchsorted(known, prints), len(known) - 1)
            hit = known[found] == prints
            owners[hit] = known_ids[found[hit]]
        unique, first, back = np.unique(prints, return_index=True, return_inverse=True)
        again = (first[back] != np.arange(len(prints))) & (owners < 0)
        owners[again] = ids[first[back[again]]]
        new = owners[first] < 0
        self._remember(unique[new], ids[first[new]])
        return owners

    def _remember(self, prints: NDArray[np.uint64], ids: NDArray[np.int64]) -> None:
        if not len(prints):
            return
        self._runs.append((prints, ids))
        while len(self._runs) > 1 and len(self._runs[-2][0]) <= 2 * len(self._runs[-1][0]):
            (one, one_ids), (two, two_ids) = self._runs.pop(), self._runs.pop()
            both, both_ids = np.concatenate((one, two)), np.concatenate((one_ids, two_ids))
            order = np.argsort(both, kind="stable")
            self._runs.append((both[order], both_ids[order]))
