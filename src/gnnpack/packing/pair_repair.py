"""Exchange single molecules of equal atoms until no pack has too many pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.compiled import compiled
from gnnpack.packing.ordering import sorted_by
from gnnpack.packing.pair_types import PairTypes, sums_per_pack

# Molecules of one type that are asked whether their pack has room.
_TRIES = 16
# Molecules asked in all: a tenth of a second, compiled.
_MOST_ASKED = 2**22


def repair_pairs(
    slots: NDArray[np.int32], offsets: NDArray[np.int64], types: PairTypes, most_pairs: int
) -> NDArray[np.int32]:
    """Types (slots,) int32 again, after exchanges that bring packs over most_pairs below it.

    slots: the type in each slot, pack after pack. A molecule of a pack that is over changes places
    with one of equal atoms and fewer pairs, from a pack with room for the difference. A pack for
    which none is found stays over; no exchange takes another pack over.
    """
    slots = slots.copy()
    totals = sums_per_pack(slots, offsets, types.pairs)
    over = np.flatnonzero(totals > most_pairs)
    if over.size == 0:
        return slots
    pack_of = np.repeat(np.arange(offsets.size - 1), np.diff(offsets))
    starts = np.concatenate([[0], np.cumsum(np.bincount(slots, minlength=types.counts.size))])
    by_type = sorted_by(slots, starts, np.arange(slots.size))
    place_in_type = np.empty_like(by_type)
    place_in_type[by_type] = np.arange(slots.size)
    kernel = compiled(exchange_one_by_one) or exchange_one_by_one
    kernel(
        slots,
        pack_of,
        offsets,
        totals,
        over,
        types.atoms,
        types.pairs,
        starts,
        starts[:-1].copy(),
        by_type,
        place_in_type,
        most_pairs,
    )
    return slots


def exchange_one_by_one(
    slots: NDArray[np.int32],
    pack_of: NDArray[np.int64],
    offsets: NDArray[np.int64],
    totals: NDArray[np.int64],
    over: NDArray[np.int64],
    atoms: NDArray[np.int64],
    pairs: NDArray[np.int64],
    starts: NDArray[np.int64],
    following: NDArray[np.int64],
    by_type: NDArray[np.int64],
    place_in_type: NDArray[np.int64],
    most_pairs: int,
) -> None:
    """`repair_pairs` for numba: changes slots and totals.

    by_type: (slots,) int64, the slots that hold each type, from starts[type] on; following: (T,)
    int64, which of them to ask next; place_in_type: (slots,) int64, where each slot stands there.
    """
    asked = 0
    for pack in over:
        while totals[pack] > most_pairs and asked < _MOST_ASKED:
            excess = totals[pack] - most_pairs
            # The exchange that takes most pairs out, but no more than it must.
            best = 0
            mine = -1
            theirs = -1
            for slot in range(offsets[pack], offsets[pack + 1]):
                kind = slots[slot]
                other = kind - 1
                while other >= 0 and atoms[other] == atoms[kind] and best < excess:
                    fewer = pairs[kind] - pairs[other]
                    if fewer > best:
                        for _ in range(min(_TRIES, starts[other + 1] - starts[other])):
                            asked += 1
                            found = by_type[following[other]]
                            following[other] += 1
                            if following[other] == starts[other + 1]:
                                following[other] = starts[other]
                            if totals[pack_of[found]] + fewer <= most_pairs:
                                best = fewer
                                mine = slot
                                theirs = found
                                break
                    asked += 1
                    other -= 1
            if best == 0:
                break
            totals[pack] -= best
            totals[pack_of[theirs]] += best
            one, another = slots[mine], slots[theirs]
            slots[mine], slots[theirs] = another, one
            # Each type's list names the slot that now holds its molecule.
            here, there = place_in_type[mine], place_in_type[theirs]
            by_type[here], by_type[there] = theirs, mine
            place_in_type[mine], place_in_type[theirs] = there, here
