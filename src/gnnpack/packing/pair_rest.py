"""Pack molecules one pack after the other, each the best of many tries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.compiled import linked
from gnnpack.packing.pair_fill import pack_after_pack
from gnnpack.packing.pair_types import PacksOfTypes, PairTypes
from gnnpack.packing.pair_units import Room

# Molecules that a pack is chosen from.
_BUFFER = 1024
# Tries in all, and for one pack.
_TRIES, _FEWEST_TRIES, _MOST_TRIES = 2**15, 8, 256
# In packs of more molecules than this a try takes long, and is as good as another.
_MANY = 4096
# Molecules put into packs in all, over all tries: some hundredths of a second, compiled.
_PLACED = 2**18
_MOST_STARTS = 32


def pack_rest(rest: NDArray[np.int32], types: PairTypes, room: Room, key: int) -> PacksOfTypes:
    """Few packs of molecules of the types `rest` (R,) int32; the best of some attempts.

    Each pack starts with the molecule hardest to place and goes on at random, and closes with the
    molecule that fits its last room best; of many such tries the one that leaves least free, of
    what is scarce, is kept. Of many molecules only some thousands are looked at at a time, in
    the order given. A pure function of its arguments, with or without numba.
    """
    if rest.size == 0:
        return PacksOfTypes(rest, np.zeros(1, dtype=np.int64), 0)
    pairs_bind = (
        float(types.pairs[rest].sum()) * room.atoms > float(types.atoms[rest].sum()) * room.pairs
    )
    columns = (types.pairs, types.atoms) if pairs_bind else (types.atoms, types.pairs)
    most = rest.size if room.molecules is None else room.molecules
    scarce, other = (room.pairs, room.atoms) if pairs_bind else (room.atoms, room.pairs)
    limits = np.array([scarce, other, most], dtype=np.int64)
    first, second = columns[0][rest], columns[1][rest]
    order = np.lexsort((second, first))
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    left = np.array([first.sum(), second.sum(), rest.size], dtype=np.int64)
    bound = int((-(-left // limits)).max())
    fewest_tries = max(1, min(_FEWEST_TRIES, _MANY * bound // rest.size))
    tries = min(_MOST_TRIES, max(fewest_tries, min(_TRIES // bound, _PLACED // rest.size)))
    buffer = _BUFFER + 2 * rest.size // bound
    kernel = linked(pack_after_pack)
    best = None
    placed = 0
    for start in range(_MOST_STARTS):
        # Fewer tries are not always worse: the best of few is more often something else.
        tries_now = max(1, tries >> start % 8)
        placed += tries_now * rest.size
        if best is not None and (best.num_packs == bound or placed > _PLACED):
            break
        members = np.empty(rest.size, dtype=np.int64)
        offsets = np.zeros(rest.size + 1, dtype=np.int64)
        with np.errstate(over="ignore"):
            packs = kernel(
                first[order],
                second[order],
                place,
                limits,
                left.copy(),
                np.uint64(key ^ start),
                tries_now,
                np.sort(place[:buffer]),
                members,
                offsets,
            )
        if best is None or packs < best.num_packs:
            best = PacksOfTypes(rest[order[members]], offsets[: packs + 1], 0)
    assert best is not None, "there is at least one start"
    return best
