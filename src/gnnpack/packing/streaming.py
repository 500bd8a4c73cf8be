"""Packs in one pass, with a bounded buffer."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gnnpack.packing.build import plan_from_packs
from gnnpack.packing.checks import check_sizes
from gnnpack.packing.plan import PackPlan
from gnnpack.packing.recompose import in_shards
from gnnpack.packing.shape import PackShape
from gnnpack.packing.stream_packer import StreamingPacker, join_packs

# Molecules given to the packer at once: bounds the memory, and packs do not depend on it.
_AT_ONCE = 2**18


def streaming(
    num_atoms: ArrayLike,
    shape: PackShape,
    *,
    num_pairs: ArrayLike | None = None,
    seed: int = 0,
    buffer: int = 2048,
    shuffle: bool = False,
    shard: int | None = None,
) -> PackPlan:
    """Pack molecules in one pass, with at most `buffer` of them waiting.

    Exactly the packs that a `StreamingPacker` makes of the same order; for data that is read
    anew every epoch, or never ends, use that. Keeps all three limits. The partners of a molecule
    are its neighbours in the order: sorted data fill packs badly. shuffle=False keeps the order
    given, shuffle=True draws one from seed. With shard, every epoch goes through shards of so
    many successive molecules in random order, and mixes molecules within about one: rows are read
    part by part, which slow disks want. Each epoch has other packs; smaller shards mix less.
    num_atoms, num_pairs: (M,) integers. ValueError: see `StreamingPacker` and `check_sizes`.

    >>> plan = streaming([4, 3, 2, 3, 5, 1], PackShape(6), buffer=3)
    >>> plan.atoms_per_pack.tolist()
    [6, 6, 6]
    """
    kept = {} if shard is None else {"shard": int(shard)}
    checked = check_sizes(num_atoms, shape, num_pairs, packer="streaming", knows_pairs=True)
    packer = StreamingPacker(shape, buffer=buffer, seed=seed)
    order = np.arange(checked.num_atoms.size)
    if shard is not None and (isinstance(shard, bool) or shard < 1):
        raise ValueError(f"shard={shard!r}; it counts successive molecules: 1 or more, or None.")
    if shuffle:
        np.random.default_rng(seed).shuffle(order)
    if shard is not None:
        order = in_shards(order, np.array([0, order.size]), shard, seed)
    parts = []
    for start in range(0, checked.num_atoms.size, _AT_ONCE):
        part = order[start : start + _AT_ONCE]
        pairs = None if checked.num_pairs is None else checked.num_pairs[part]
        parts.append(packer.take_in(checked.num_atoms[part], pairs))
    molecules, offsets = join_packs([*parts, packer.last_packs()])
    return plan_from_packs(
        order[molecules],
        offsets,
        checked,
        shape,
        packer="streaming",
        seed=seed,
        options={"buffer": int(buffer), "shuffle": shuffle, **kept},
    )
