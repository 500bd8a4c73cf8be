"""The pattern linear program of bin packing, by column generation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.compiled import compiled
from gnnpack.packing.knapsack import Knapsack

# Prices go to the knapsack as whole multiples of 1 / _SCALE packs, so that its answer is exact.
_SCALE = 2**40
_TOLERANCE = 1e-9
_GOLDEN = 0.6180339887498949


class PatternSolution(NamedTuple):
    """`amounts` (S,) float64 of `patterns` (S, S) int64, copies of every size in a pack.

    The amounts need not be whole. A pattern with a copy of -1 stands for molecules that other
    patterns hold too many of. bound: packs that any plan needs, proven in whole numbers.
    pivots: how many it took.
    """

    patterns: NDArray[np.int64]
    amounts: NDArray[np.float64]
    bound: int
    pivots: int


def steps(knapsack: Knapsack) -> int:
    """Steps of one pivot and of choosing its pattern: compiled, a third of a nanosecond each."""
    # With a limit on molecules the table is filled out of cache and without foresight.
    slow = 3 if knapsack.max_molecules else 1
    return int(slow * knapsack.cells + knapsack.weights.size**2)


def solve(knapsack: Knapsack, counts: NDArray[np.int64], max_pivots: int) -> PatternSolution:
    """Fewest packs, parts of packs allowed, that hold `counts` (S,) int64 of each size.

    Gilmore and Gomory (1961, 1963): a revised simplex in which the pattern worth most at the
    current prices enters. Stops at the optimum or after max_pivots, but not before each size has
    had one. The bound holds either way (Farley 1990): if no pack is worth more than v, molecules
    worth w need at least w / v packs.
    """
    basis = _Basis(counts)
    pivots = _start(basis, knapsack)
    bound, prices, highest = 0.0, np.zeros_like(counts), 1
    while pivots < max_pivots:
        pivots += 1
        surplus = int(basis.prices.argmin())
        if basis.prices[surplus] < -_TOLERANCE:
            column = np.zeros_like(counts)
            column[surplus] = -1
            if basis.enter(column, cost=0.0) < 0:
                break
            continue
        # No size is worth more than a pack of its own; higher prices of an early basis are noise.
        whole = np.clip(basis.prices * _SCALE, 0.0, 2.0 * _SCALE).astype(np.int64)
        worth, pattern = knapsack.best(whole)
        if float(whole @ basis.demand) > bound * worth:
            bound, prices, highest = float(whole @ basis.demand) / worth, whole, worth
        if worth <= _SCALE * (1 + _TOLERANCE) or basis.enter(pattern, cost=1.0) < 0:
            break
    proven = whole_bound(counts, prices, highest)
    return PatternSolution(basis.columns.T, basis.amounts, proven, pivots)


def whole_bound(counts: NDArray[np.int64], prices: NDArray[np.int64], highest: int) -> int:
    """Packs needed by `counts` (S,) at whole `prices` (S,), if none is worth more than `highest`.

    >>> whole_bound(np.array([3, 1]), np.array([2, 1]), 3)
    3
    """
    # Python's integers: the sum may pass 2**63.
    worth = sum(count * price for count, price in zip(counts.tolist(), prices.tolist()))
    return -(-int(worth) // highest)


class _Basis:
    """A basis of the simplex: at first one pattern a size, a pack of a single molecule."""

    def __init__(self, counts: NDArray[np.int64]) -> None:
        # No whole amounts: with these many columns run out at once and the simplex stalls.
        self.demand = counts + 1e-6 * (1 + np.arange(1, counts.size + 1) * _GOLDEN % 1)
        self.columns = np.eye(counts.size, dtype=np.int64)
        self.inverse = np.eye(counts.size)
        self.amounts = self.demand.copy()
        self.prices = np.ones(counts.size)
        self._pivot = compiled(pivot) or pivot

    def enter(self, column: NDArray[np.int64], cost: float) -> int:
        """Let `column` (S,) int64 in; the place of the one that leaves, or -1."""
        return int(self._pivot(self.columns, self.inverse, self.amounts, self.prices, column, cost))


def _start(basis: _Basis, knapsack: Knapsack) -> int:
    """Fill the basis with the fullest packs, each of sizes that the ones before left over.

    Returns how many pivots that took, one a size.
    """
    values = knapsack.fullest_values()
    alone = np.ones(values.size, dtype=np.bool_)
    while alone.any():
        # A pack of what is alone in the basis pushes one of these out: columns stay triangular.
        alone[basis.enter(knapsack.best(values * alone).copies, cost=1.0)] = False
    return int(values.size)


def pivot(
    columns: NDArray[np.int64],
    inverse: NDArray[np.float64],
    amounts: NDArray[np.float64],
    prices: NDArray[np.float64],
    entering: NDArray[np.int64],
    cost: float,
) -> int:
    """`entering` (S,) takes the place of the column that runs out first, in place; which place.

    columns, inverse (S, S), amounts, prices (S,). -1, and nothing changed, if none runs out, which
    only rounding errors can bring about. For numba and numpy alike: one order of rounding, so both
    find the same packs.
    """
    direction = np.zeros(amounts.size)
    gain = -cost
    for size in range(entering.size):
        if entering[size] != 0:
            direction += inverse[:, size] * entering[size]
            gain += prices[size] * entering[size]
    leaving = -1
    ratio = np.inf
    for place in range(amounts.size):
        if direction[place] > 1e-9 and amounts[place] < ratio * direction[place]:
            ratio = amounts[place] / direction[place]
            leaving = place
    if leaving < 0:
        return leaving
    row = inverse[leaving] / direction[leaving]
    prices -= gain * row
    for place in range(amounts.size):
        if direction[place] != 0.0:
            amounts[place] = max(0.0, amounts[place] - ratio * direction[place])
            inverse[place] -= direction[place] * row
    inverse[leaving] = row
    amounts[leaving] = ratio
    columns[:, leaving] = entering
    return leaving
