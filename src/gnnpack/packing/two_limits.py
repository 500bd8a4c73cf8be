"""Random packs that keep a limit on atoms and one on pairs, and may keep one on molecules."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.ordering import shuffle_blocks, stable_order
from gnnpack.packing.pair_balance import balance_pairs
from gnnpack.packing.pair_draw import draw_pair_packs
from gnnpack.packing.pair_law import PackLaw, fit_pack_law
from gnnpack.packing.pair_repair import repair_pairs
from gnnpack.packing.pair_rest import pack_rest
from gnnpack.packing.pair_types import PacksOfTypes, PairTypes, sums_per_pack
from gnnpack.packing.pair_units import Room, UnitClasses, unit_classes
from gnnpack.packing.shape import PackShape

# Packs that a law leaves undrawn: of so many molecules as good packs can be made one by one.
_UNDRAWN = 20
# A limit on molecules this many standard deviations above the mean is kept by refusing packs; a law
# that knows it has as many times the states of a pack.
_RARE = 3.0
# A law that aims at the fewest packs imaginable leaves over what does not fit these; where that
# is too much, laws that aim so far towards what was reached are tried as well.
_TOO_MUCH = 0.0005
_FURTHER = (0.25, 0.5)
# Draws of which `fewest_pair_packs` takes the best.
_DRAWS = 4
# Packs by atoms alone are tried where pairs would fill less than this share of the fewest packs.
_LOOSE = 0.98
# A law takes up to some tenths of a second up to here, and only one is tried beyond.
_QUICK_SERIES = 2**23


class RandomPairPacks:
    """Draws packs of `shape` from the molecules of `types`.

    bound: packs that are needed at least. fewest: the best packs drawn for the choice of a law.
    How packs are drawn is chosen once: by the law whose packs are fewest or, with few molecules or
    very many sizes, one by one, each pack the best of some tries.
    """

    def __init__(self, types: PairTypes, shape: PackShape, bound: int) -> None:
        assert shape.num_atoms is not None, "check_sizes refuses a shape without num_atoms"
        assert shape.num_pairs is not None, "two limits are given"
        most = shape.num_molecules
        if most is not None and most * int(types.atoms[0]) >= shape.num_atoms:
            most = None
        self._types = types
        self._room = Room(shape.num_atoms, shape.num_pairs, most)
        self._law: tuple[UnitClasses, PackLaw] | None = None
        self._pool = np.repeat(np.arange(types.counts.size, dtype=np.int32), types.counts)
        self.fewest = self._choose_law(bound)

    def draw(self, key: int) -> PacksOfTypes:
        """Packs of all molecules; a pure function of types, shape, bound and key."""
        return self._drawn(self._law, key)

    def settle(self, packs: PacksOfTypes, left: NDArray[np.int32], key: int) -> PacksOfTypes:
        """Make packs that keep their atoms keep their pairs, and pack `left` as well.

        left: (R,) int32, types of molecules in no pack. Molecules of equal atoms are exchanged
        among packs; those of packs that stay over the limit are packed with `left`.
        """
        slots, offsets, limit = packs.types, packs.offsets, self._room.pairs
        slots = balance_pairs(slots, offsets, self._types, limit)
        slots = repair_pairs(slots, offsets, self._types, limit)
        sound = sums_per_pack(slots, offsets, self._types.pairs) <= limit
        lengths = np.diff(offsets)
        stays = np.repeat(sound, lengths)
        left = np.concatenate([left, slots[~stays]])
        rest = pack_rest(left, self._types, self._room, key)
        lengths = np.concatenate([lengths[sound], np.diff(rest.offsets)])
        return PacksOfTypes(
            np.concatenate([slots[stays], rest.types]),
            np.concatenate([[0], np.cumsum(lengths)]),
            int(np.count_nonzero(sound[: packs.num_drawn])),
        )

    def _choose_law(self, bound: int) -> PacksOfTypes:
        self._law = self._first_law(bound)
        fewest = first = self._drawn(self._law, 0)
        for part in _FURTHER:
            good = fewest.num_packs <= bound * (1.0 + _TOO_MUCH) + 1
            if self._law is None or good or self._law[0].series_size > _QUICK_SERIES:
                break
            classes, law = self._law
            further = bound + int(part * (first.num_packs - bound))
            law = fit_pack_law(classes, further, law.weights)
            packs = self._drawn((classes, law), 0)
            if packs.num_packs < fewest.num_packs:
                fewest = packs
                self._law = classes, law
        return fewest

    def _first_law(self, bound: int) -> tuple[UnitClasses, PackLaw] | None:
        """The law of `bound` packs; it knows the limit on molecules unless that is rarely met."""
        if bound <= 2 * _UNDRAWN:
            return None
        room = self._usable_room(bound)
        classes = unit_classes(self._types, room, bound)
        if classes is None:
            return None
        law = fit_pack_law(classes, bound)
        mean, deviation = law.molecules
        most = self._room.molecules
        if most is None or most >= mean + _RARE * deviation:
            return classes, law
        classes = unit_classes(self._types, room._replace(molecules=most), bound)
        return None if classes is None else (classes, fit_pack_law(classes, bound))

    def _usable_room(self, packs: int) -> Room:
        """Room up to twice what packs use in the mean: less room, fewer states of a pack."""
        types, room = self._types, self._room
        atoms = max(2 * int(types.atoms @ types.counts) // packs, int(types.atoms[-1]))
        pairs = max(2 * int(types.pairs @ types.counts) // packs, int(types.pairs.max()), 1)
        return Room(min(room.atoms, atoms), min(room.pairs, pairs), None)

    def _drawn(self, law: tuple[UnitClasses, PackLaw] | None, key: int) -> PacksOfTypes:
        of_pool, of_packs, of_rest = np.random.SeedSequence(key).generate_state(3, np.uint64)
        pool = self._pool.copy()
        if law is None:
            shuffle_blocks(pool, np.array([0, pool.size]), of_pool)
            return pack_rest(pool, self._types, self._room, int(of_rest))
        classes, pack_law = law
        starts = np.concatenate([[0], np.cumsum(classes.counts)])
        shuffle_blocks(pool, starts, of_pool)
        most = pool.size if self._room.molecules is None else self._room.molecules
        num_packs = pack_law.packs - _UNDRAWN
        drawn = draw_pair_packs(classes, pack_law, num_packs, most, int(of_packs))
        used = np.bincount(drawn.classes, minlength=classes.counts.size)
        place = np.arange(pool.size) - np.repeat(starts[:-1], classes.counts)
        taken = place < np.repeat(used, classes.counts)
        slots = np.empty(drawn.classes.size, dtype=np.int32)
        # The pool lies class after class.
        slots[stable_order(drawn.classes)] = pool[taken]
        packs = PacksOfTypes(slots, drawn.offsets, drawn.offsets.size - 1)
        return self.settle(packs, pool[~taken], int(of_rest))


def fewest_pair_packs(
    types: PairTypes, shape: PackShape, bound: int, by_atoms: PacksOfTypes
) -> PacksOfTypes:
    """The fewest packs found: the best of some draws, or `by_atoms` where pairs hardly matter.

    bound: packs that are needed at least. by_atoms: packs of all molecules that keep the limits on
    atoms and molecules.
    """
    packs = RandomPairPacks(types, shape, bound)
    fewest = packs.fewest
    for key in range(1, _DRAWS):
        if fewest.num_packs == bound:
            break
        fewest = min(fewest, packs.draw(key), key=lambda drawn: drawn.num_packs)
    assert shape.num_pairs is not None, "two limits are given"
    used = int(types.pairs @ types.counts) / (shape.num_pairs * by_atoms.num_packs)
    if fewest.num_packs > by_atoms.num_packs and used < _LOOSE:
        none_left = np.empty(0, dtype=np.int32)
        settled = packs.settle(by_atoms, none_left, 0)
        fewest = min(fewest, settled, key=lambda drawn: drawn.num_packs)
    return fewest
