"""Packs of sizes drawn at random, nearly every one exactly full."""

from __future__ import annotations

from functools import cached_property, reduce
from math import gcd, isqrt

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.draw_packs import DrawTable, draw_packs, draw_table
from gnnpack.packing.fill_law import FillLaw, fit_fill_law
from gnnpack.packing.optimal import fewest_packs
from gnnpack.packing.pair_types import PacksOfTypes
from gnnpack.packing.shape import PackShape

# So many sizes, in so many states of a pack, take seconds to fit a law to; and they are near
# enough to each other for any packer to fill packs.
_MOST_SIZES = 512
_LARGEST_TABLE = 2**20
# Molecules of a size are drawn to within the root of their number. So much of them, and some
# packs more, stays undrawn, that the rest can still be packed well.
_DEVIATIONS, _PACKS_MORE = 4, 30
# A rest of more packs is drawn too, if a law fits it: patterns would not pack it at random.
_SMALL_REST = 100
# A law that can be had at all is found in fewer. For the whole it is worth looking longer.
_TRIALS_FOR_ALL, _TRIALS_FOR_REST = 60, 16
# A tenth of a second, compiled; molecules of a few dozen sizes take a hundredth of that.
_LP_STEPS_FOR_REST = 3 * 10**8


class RandomPacks:
    """Draws packs of `shape` from a histogram: (sizes, counts), both (S,) int64.

    packs: how many to aim at. The law of what a pack holds is fitted at the first draw and kept.
    """

    def __init__(
        self,
        sizes: NDArray[np.int64],
        counts: NDArray[np.int64],
        shape: PackShape,
        packs: int,
    ) -> None:
        assert shape.num_atoms is not None, "check_sizes refuses a shape without num_atoms"
        # HydroNet's sizes are multiples of 3: a third of the states.
        self._unit = reduce(gcd, sizes.tolist())
        self._capacity = shape.num_atoms // self._unit
        least = -(-int(sizes @ counts) // (self._capacity * self._unit))
        self._sizes, self._counts, self._shape = sizes, counts, shape
        self._packs = max(packs, least)

    def draw(self, key: int) -> PacksOfTypes | None:
        """Packs of all molecules, about as many as aimed at; None where no table can be held.

        Types are places in the histogram. A pure function of the histogram, the shape, the aim
        and the key, with or without numba.
        """
        num_sizes = self._sizes.size
        if num_sizes > _MOST_SIZES or (self._capacity + 1) * num_sizes > _LARGEST_TABLE:
            return None
        places = np.empty(int(self._counts.sum()), dtype=np.int32)
        parts: list[NDArray[np.int64]] = []
        left, packs, slot = self._counts, self._packs, 0
        table: DrawTable | None = self._table
        while table is not None:
            offsets, left = self._drawn(table, left, packs, key ^ len(parts), places[slot:])
            parts.append(slot + offsets)
            before, packs, slot = packs, packs - (offsets.size - 1), slot + int(offsets[-1])
            # Where half of the packs are left, the law asked for sizes that ran out.
            small = packs <= _SMALL_REST or 2 * packs > before
            table = None if small else self._table_for(left, packs)
        places[slot:], offsets = self._packed(left)
        joined = [*parts[:1], *(part[1:] for part in (*parts[1:], slot + offsets))]
        return PacksOfTypes(places, np.concatenate(joined), parts[0].size - 1)

    @cached_property
    def _table(self) -> DrawTable:
        law = self._law(self._counts, self._packs, _TRIALS_FOR_ALL)
        units, _ = self._classes(self._counts, self._packs)
        return draw_table(units, law.weights, self._capacity)

    def _table_for(self, counts: NDArray[np.int64], packs: int) -> DrawTable | None:
        """The table of a rest; None where no law has its means, to a molecule."""
        law = self._law(counts, packs, _TRIALS_FOR_REST)
        if law.error * packs > 1.0:
            return None
        units, _ = self._classes(counts, packs)
        return draw_table(units, law.weights, self._capacity)

    def _law(self, counts: NDArray[np.int64], packs: int, max_trials: int) -> FillLaw:
        units, counts = self._classes(counts, packs)
        return fit_fill_law(units, counts, self._capacity, packs, max_trials)

    def _drawn(
        self,
        table: DrawTable,
        counts: NDArray[np.int64],
        packs: int,
        key: int,
        places: NDArray[np.int32],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Write most of `packs` packs to places; their offsets, and the counts (S,) they leave."""
        units, with_filler = self._classes(counts, packs)
        there = np.flatnonzero(counts)
        drawn = draw_packs(
            table,
            units,
            with_filler,
            packs - min(_DEVIATIONS * isqrt(packs) + _PACKS_MORE, -(-packs // 2)),
            num_filler=units.size - there.size,
            max_molecules=self._shape.num_molecules,
            key=key,
            into=places,
        )
        if there.size < counts.size:
            drawn.classes[:] = there[drawn.classes]
        left = np.zeros_like(counts)
        left[there] = drawn.left[: there.size]
        return drawn.offsets, left

    def _classes(
        self, counts: NDArray[np.int64], packs: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Units and counts of the sizes that are there, filler of one unit last if any."""
        there = np.flatnonzero(counts)
        units, counts = self._sizes[there] // self._unit, counts[there]
        filler = packs * self._capacity - int(units @ counts)
        assert filler >= 0, "drawn packs are full, so the rest fits the packs that are left"
        if filler:
            units, counts = np.append(units, 1), np.append(counts, filler)
        return units, counts

    def _packed(self, counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places and offsets of as few packs as can be found of `counts` (S,) molecules."""
        there = np.flatnonzero(counts)
        if there.size == 0:
            return np.empty(0, dtype=np.int64), np.zeros(1, dtype=np.int64)
        patterns, _ = fewest_packs(
            self._sizes[there], counts[there], self._shape, _LP_STEPS_FOR_REST
        )
        places = [np.searchsorted(self._sizes, pattern.sizes) for pattern in patterns]
        lengths = [np.full(pattern.packs, len(pattern.sizes)) for pattern in patterns]
        return (
            np.concatenate([np.tile(at, p.packs) for at, p in zip(places, patterns)]),
            np.concatenate([[0], np.cumsum(np.concatenate(lengths))]),
        )
