"""Packs from a stream of molecules that is never wholly known."""

from __future__ import annotations

from typing import Any, Iterable, Iterator, Mapping, Tuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnpack.packing.compiled import linked
from gnnpack.packing.optimal import optimal
from gnnpack.packing.shape import PackShape
from gnnpack.packing.stream_buffer import FED, WAITING
from gnnpack.packing.stream_checks import check_chunk, check_settings
from gnnpack.packing.stream_fill import feed, feed_within_pairs
from gnnpack.packing.stream_state import StreamState, empty_state, limits_of, read_state

# Keeps these draws apart from those of other packers and of epochs.
_STREAM = 0x73747265
_FORMAT = 1
_SETTINGS = (
    *("format", "num_atoms", "num_pairs", "num_molecules"),
    *("buffer", "seed", "finishing", "last_given"),
)

Packs = Tuple[NDArray[np.int64], NDArray[np.int64]]


class StreamingPacker:
    """Packs molecules as they come, at most `buffer` of them waiting.

    When a molecule finds the buffer full, a pack is made: sizes are drawn one after the other,
    each by its weight times the total weight of all ways to fill what is then left, so nearly
    all packs end exactly full. A size weighs the fourth power of how many of it wait. So what
    piles up is drawn more, until packs use up every size as fast as it comes, and the data need
    not be known (long queues first, as in Tassiulas and Ephremides 1992, IEEE Trans. Automat.
    Contr. 37, 1936-1948). A molecule that waits while 8 buffers of others go by begins the next
    pack. Under a limit on pairs, molecules are exchanged for others of their size once a pack is
    drawn. `finish` packs the rest by `optimal`.

    shape: num_atoms must be a number. buffer: several times the molecules of a pack; 256 is
    enough for most, and 2,048 fills packs better. ValueError: num_atoms None, buffer below 1,
    negative seed.

    >>> packer = StreamingPacker(PackShape(6), buffer=3)
    >>> [pack.tolist() for pack in packer.pack([4, 3, 2, 3, 5, 1])]
    [[0, 2], [1, 3], [4, 5]]
    """

    def __init__(self, shape: PackShape, *, buffer: int = 2048, seed: int = 0) -> None:
        check_settings(shape, buffer, seed)
        self._shape, self._buffer, self._seed = shape, int(buffer), int(seed)
        self._limits = limits_of(shape)
        self._state = empty_state(self._limits, self._buffer)
        self._key = np.random.SeedSequence([self._seed, _STREAM]).generate_state(1, np.uint64)[0]
        self._finishing = False
        self._last_given = 0

    @property
    def num_fed(self) -> int:
        """Molecules fed so far: where to go on in the data after `from_state`."""
        return int(self._state.marks[FED])

    @property
    def num_waiting(self) -> int:
        """Molecules fed but in no pack yet."""
        return int(self._state.marks[WAITING])

    def add(
        self, num_atoms: int, num_pairs: int | None = None, *, number: int | None = None
    ) -> list[NDArray[np.int64]]:
        """`feed` for one molecule: at most one pack comes back."""
        return self.feed(
            [num_atoms],
            None if num_pairs is None else [num_pairs],
            numbers=None if number is None else [number],
        )

    def feed(
        self,
        num_atoms: ArrayLike,
        num_pairs: ArrayLike | None = None,
        *,
        numbers: ArrayLike | None = None,
    ) -> list[NDArray[np.int64]]:
        """Take in molecules and return the packs they complete, arrays (k,) int64 of numbers.

        num_atoms, num_pairs: (M,) integers. numbers (M,): what packs call the molecules; by
        default their place in the stream. Packs do not depend on how the stream is cut.
        ValueError: after `finish`; what cannot be packed, and then nothing is taken in.
        """
        return _split(self.take_in(num_atoms, num_pairs, numbers))

    def take_in(
        self, num_atoms: ArrayLike, num_pairs: ArrayLike | None, numbers: ArrayLike | None = None
    ) -> Packs:
        """`feed`, its packs as (molecules, offsets): molecules[offsets[i]:offsets[i+1]] are one."""
        chunk = check_chunk(num_atoms, num_pairs, numbers, self._shape, self.num_fed)
        if self._finishing:
            raise ValueError(
                f"this packer was finished after {self.num_fed:,} molecules and takes no more; "
                "make a new StreamingPacker"
            )
        if chunk.shape[1] == 0:
            return join_packs([])
        return self._run(chunk)

    def finish(self) -> list[NDArray[np.int64]]:
        """The packs of all molecules that still wait; nothing can be fed after it."""
        self._finishing = True
        # Some may have been given by `pack` already.
        packs = _split(self.last_packs())[self._last_given :]
        self._last_given += len(packs)
        return packs

    def last_packs(self) -> Packs:
        """The packs of all that still wait, as in `take_in`; changes nothing."""
        if self.num_waiting == 0:
            return join_packs([])
        numbers, atoms, pairs = self._state.waiting()
        plan = optimal(atoms, self._shape, num_pairs=pairs).epoch(self._seed, 0)
        return numbers[plan.molecules], plan.offsets

    def pack(self, molecules: Iterable[int | tuple[int, int]]) -> Iterator[NDArray[np.int64]]:
        """Yield the packs of all `molecules`, as soon as they are made, and then finish.

        molecules: the num_atoms of each, or its (num_atoms, num_pairs). Between two packs
        `state` is that of a packer whose next pack is the next one here, and `num_fed` tells how
        many molecules were taken from the iterable.
        """
        for molecule in molecules:
            one = molecule if isinstance(molecule, tuple) else (molecule,)
            yield from self.add(*one)
        self._finishing = True
        last = _split(self.last_packs())
        while self._last_given < len(last):
            self._last_given += 1
            yield last[self._last_given - 1]

    def state(self) -> dict[str, Any]:
        """All that `from_state` needs to go on, as integers and arrays that `np.savez` takes."""
        settings = (
            *(_FORMAT, self._shape.num_atoms, self._shape.num_pairs or 0),
            *(self._shape.num_molecules or 0, self._buffer, self._seed),
            *(int(self._finishing), self._last_given),
        )
        return {**dict(zip(_SETTINGS, settings)), **self._state.copy()._asdict()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> StreamingPacker:
        """A packer that goes on where `state` was taken: the same packs as without the stop.

        ValueError: not what `state` gave, or from another version of it.
        """
        missing = [name for name in (*_SETTINGS, *StreamState._fields) if name not in state]
        if missing or int(state["format"]) != _FORMAT:
            found = f"misses {missing}" if missing else f"has format {state['format']}"
            raise ValueError(
                f"state {found}; pass what StreamingPacker.state() of this version gave"
            )
        shape = PackShape(
            int(state["num_atoms"]),
            int(state["num_pairs"]) or None,
            int(state["num_molecules"]) or None,
        )
        packer = cls(shape, buffer=int(state["buffer"]), seed=int(state["seed"]))
        packer._state = read_state(state, packer._state)
        packer._finishing = bool(state["finishing"])
        packer._last_given = int(state["last_given"])
        return packer

    def _run(self, chunk: NDArray[np.int64]) -> Packs:
        most = self.num_waiting + chunk.shape[1]
        molecules = np.empty(most, dtype=np.int64)
        offsets = np.zeros(most + 1, dtype=np.int64)
        loop = linked(feed if self._shape.num_pairs is None else feed_within_pairs)
        slots, queues, marks, kinds, weights, ways = self._state
        # The draws are meant to overflow; plain Python would warn of it.
        with np.errstate(over="ignore"):
            num_packs = loop(
                slots,
                queues,
                marks,
                self._limits,
                kinds,
                weights,
                ways,
                self._key,
                chunk,
                molecules,
                offsets,
            )
        return molecules[: offsets[num_packs]], offsets[: num_packs + 1]


def join_packs(parts: list[Packs]) -> Packs:
    """Packs one after the other, those of each part in turn."""
    molecules = [molecules for molecules, _ in parts]
    lengths = [np.diff(offsets) for _, offsets in parts]
    none = np.zeros(0, dtype=np.int64)
    offsets = np.zeros(sum(part.size for part in lengths) + 1, dtype=np.int64)
    np.cumsum(np.concatenate([none, *lengths]), out=offsets[1:])
    return np.concatenate([none, *molecules]), offsets


def _split(packs: Packs) -> list[NDArray[np.int64]]:
    molecules, offsets = packs
    ends = offsets.tolist()
    return [molecules[start:end] for start, end in zip(ends[:-1], ends[1:])]
