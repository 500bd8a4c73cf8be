"""The most valuable pack: a knapsack over sizes, in exact integers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.compiled import compiled

_MAX_CELLS = 2**26
# Values of `fullest_values` sum to its third power.
_MAX_CAPACITY = 2**20


class BestPattern(NamedTuple):
    """`value` of the best pack and `copies` (S,) int64 of every size in it."""

    value: int
    copies: NDArray[np.int64]


class Knapsack:
    """Packs that may be made of given molecules, and the best of them for any prices.

    Dynamic programme over atoms, and molecules where they are limited (Gilmore and Gomory 1963;
    a limited number of copies as in Martello and Toth 1990, section 3.4). Exact: whole numbers
    only, so a bound built on its answer is proven.
    """

    def __init__(
        self,
        sizes: NDArray[np.int64],
        counts: NDArray[np.int64],
        capacity: int,
        max_molecules: int | None,
    ) -> None:
        """sizes, counts: (S,) int64, sizes at most `capacity`; max_molecules: None for no limit."""
        unit = int(np.gcd.reduce(sizes))
        self.weights = sizes // unit
        self.capacity = capacity // unit
        most = self.capacity // self.weights
        if max_molecules is not None and max_molecules < self.capacity // int(self.weights.min()):
            self.max_molecules = max_molecules
            most = np.minimum(most, max_molecules)
        else:
            self.max_molecules = 0
        self.limits = np.minimum(most, counts)
        self.rows = _rows(self.limits, self.limits >= most)

    @property
    def too_large(self) -> bool:
        """Whether its table would fill memory, or its values overflow 64 bits."""
        return self.cells > _MAX_CELLS or self.capacity > _MAX_CAPACITY

    @property
    def cells(self) -> int:
        """Entries of its table: steps, and bytes, of one `best`."""
        return int(self.rows.shape[1] * (self.max_molecules + 1) * (self.capacity + 1))

    def fullest_values(self) -> NDArray[np.int64]:
        """Values (S,) int64 by which the fullest pack is best, of equals that of larger sizes.

        With a limit on molecules, full means the sum of both fractions: packs full of atoms alone
        would leave the small molecules together, and these run into the limit.
        """
        if self.max_molecules:
            fullness = self.weights * self.max_molecules + self.capacity
            values: NDArray[np.int64] = fullness * (self.capacity + 1) + self.weights
        else:
            values = self.weights * (int(self.weights.max()) * self.capacity + self.weights)
        return values

    def best(self, values: NDArray[np.int64]) -> BestPattern:
        """The pack whose molecules are worth most.

        values: (S,) int64 of at least 0; limits * values must sum to less than 2**62.
        """
        best = np.zeros((self.max_molecules + 1, self.capacity + 1), dtype=np.int64)
        taken = np.zeros((self.rows.shape[1], *best.shape), dtype=np.bool_)
        fill = compiled(fill_table) or fill_table_by_numpy
        trace = compiled(trace_back) or trace_back
        step = int(self.max_molecules > 0)
        fill(values, self.weights, self.rows, step, best, taken)
        copies = np.zeros(self.weights.size, dtype=np.int64)
        trace(self.weights, self.rows, step, taken, copies)
        return BestPattern(int(best[-1, -1]), copies)


def _rows(limits: NDArray[np.int64], endless: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(3, R) int64: size, copies taken together, and whether they may be taken again.

    A size of which fewer are there than fit becomes rows of 1, 2, 4, ... copies.
    """
    rows = []
    for size, (limit, repeated) in enumerate(zip(limits.tolist(), endless.tolist())):
        if repeated:
            rows.append((size, 1, 1))
            continue
        together = 1
        while limit > 0:
            rows.append((size, min(together, limit), 0))
            limit -= together
            together *= 2
    return np.array(rows, dtype=np.int64).T.copy()


def fill_table(
    values: NDArray[np.int64],
    weights: NDArray[np.int64],
    rows: NDArray[np.int64],
    step: int,
    best: NDArray[np.int64],
    taken: NDArray[np.bool_],
) -> None:
    """Fill best (K+1, C+1), and taken (R, K+1, C+1) where a row improves it; for numba.

    step: molecules that one molecule counts for; 0 without a limit on them, where K = 0.
    """
    num_molecules, num_atoms = best.shape
    for row in range(rows.shape[1]):
        size, together, repeated = rows[0, row], rows[1, row], rows[2, row]
        value, weight, held = values[size] * together, weights[size] * together, step * together
        if value <= 0:
            continue
        if repeated:
            for k in range(held, num_molecules):
                for c in range(weight, num_atoms):
                    candidate = best[k - held, c - weight] + value
                    if candidate > best[k, c]:
                        best[k, c] = candidate
                        taken[row, k, c] = True
        else:
            for k in range(num_molecules - 1, held - 1, -1):
                for c in range(num_atoms - 1, weight - 1, -1):
                    candidate = best[k - held, c - weight] + value
                    if candidate > best[k, c]:
                        best[k, c] = candidate
                        taken[row, k, c] = True


def fill_table_by_numpy(
    values: NDArray[np.int64],
    weights: NDArray[np.int64],
    rows: NDArray[np.int64],
    step: int,
    best: NDArray[np.int64],
    taken: NDArray[np.bool_],
) -> None:
    """The same tables by numpy."""
    num_molecules, num_atoms = best.shape
    for row, (size, together, repeated) in enumerate(rows.T.tolist()):
        value = int(values[size]) * together
        weight, held = int(weights[size]) * together, step * together
        if value <= 0:
            continue
        if repeated and not step:
            improved = _repeated(best[0], weight, value)
            taken[row, 0] = improved > best[0]
            best[0] = improved
            continue
        # A row that may be taken again sees what it gave the packs of one molecule less.
        starts = range(held, num_molecules) if repeated else [held]
        for start in starts:
            stop = start + 1 if repeated else num_molecules
            candidate = best[start - held : stop - held, : num_atoms - weight] + value
            old = best[start:stop, weight:]
            taken[row, start:stop, weight:] = candidate > old
            best[start:stop, weight:] = np.maximum(candidate, old)


def _repeated(best: NDArray[np.int64], weight: int, value: int) -> NDArray[np.int64]:
    """best (C+1,) after any number of copies: a running maximum along steps of `weight`."""
    steps = -(-best.size // weight)
    grid = np.zeros(steps * weight, dtype=np.int64)
    grid[: best.size] = best
    paid = np.arange(steps, dtype=np.int64)[:, None] * value
    improved = np.maximum.accumulate(grid.reshape(steps, weight) - paid, axis=0) + paid
    return improved.reshape(-1)[: best.size]


def trace_back(
    weights: NDArray[np.int64],
    rows: NDArray[np.int64],
    step: int,
    taken: NDArray[np.bool_],
    copies: NDArray[np.int64],
) -> None:
    """Write the copies (S,) of the best pack of all atoms and molecules; for numba."""
    k, c = taken.shape[1] - 1, taken.shape[2] - 1
    for row in range(rows.shape[1] - 1, -1, -1):
        size, together, repeated = rows[0, row], rows[1, row], rows[2, row]
        while taken[row, k, c]:
            copies[size] += together
            k -= step * together
            c -= weights[size] * together
            if not repeated:
                break
