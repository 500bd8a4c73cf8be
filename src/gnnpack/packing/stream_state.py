"""What a stream of packs is in the middle of."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.shape import PackShape
from gnnpack.packing.stream_buffer import ARRIVED, FOLLOWING, SPARE
from gnnpack.packing.stream_weights import OVERDUE, UNIT, blank_ways

# Kinds of molecules that one pack may tell apart.
_MAX_KINDS = 4096


class StreamState(NamedTuple):
    """The arrays of `stream_buffer` and `stream_weights`: what waits, and the weights last made."""

    slots: NDArray[np.int64]
    queues: NDArray[np.int64]
    marks: NDArray[np.int64]
    kinds: NDArray[np.int64]
    weights: NDArray[np.float64]
    ways: NDArray[np.float64]

    def copy(self) -> StreamState:
        """The same arrays again, to change."""
        slots, queues, marks, kinds, weights, ways = self
        return StreamState(
            slots.copy(), queues.copy(), marks.copy(), kinds.copy(), weights.copy(), ways.copy()
        )

    def waiting(self) -> NDArray[np.int64]:
        """Numbers, atoms and pairs of the molecules that wait, (3, W), in the order they came."""
        waits = np.ones(self.slots.shape[1], dtype=np.bool_)
        slot = int(self.marks[SPARE])
        while slot >= 0:
            waits[slot] = False
            slot = int(self.slots[FOLLOWING, slot])
        slots = self.slots[:, waits]
        return slots[:ARRIVED, np.argsort(slots[ARRIVED])]


def limits_of(shape: PackShape) -> NDArray[np.int64]:
    """The limits (4,) of `stream_buffer`; pairs -1 where they have none."""
    assert shape.num_atoms is not None, "check_settings refuses a shape without num_atoms"
    # Half of the int64 range, so no sum overflows; nothing that is real comes near.
    most = min(shape.num_atoms, 2**62)
    grain = -(-most // _MAX_KINDS)
    pairs = -1 if shape.num_pairs is None else min(shape.num_pairs, 2**62)
    return np.array([most, pairs, min(shape.num_molecules or most, most), grain], dtype=np.int64)


def empty_state(limits: NDArray[np.int64], buffer: int) -> StreamState:
    """A state without molecules, for `buffer` of them."""
    most, _, max_molecules, grain = limits.tolist()
    num_kinds = -(-most // grain)
    slots = np.zeros((5, buffer), dtype=np.int64)
    slots[FOLLOWING] = np.append(np.arange(1, buffer), -1)
    queues = np.zeros((3, num_kinds + 1), dtype=np.int64)
    marks = np.zeros(13, dtype=np.int64)
    marks[UNIT] = 1
    marks[OVERDUE] = -1
    places = min(buffer, num_kinds)
    return StreamState(
        slots,
        queues,
        marks,
        np.zeros((2, places), dtype=np.int64),
        np.zeros(places),
        blank_ways(num_kinds, max_molecules),
    )


def read_state(state: Mapping[str, Any], empty: StreamState) -> StreamState:
    """The arrays of `state`, checked against those of an empty one; ValueError if they differ."""
    arrays = []
    for name, array in empty._asdict().items():
        found = np.array(state[name], dtype=array.dtype, order="C")
        if found.shape != array.shape:
            raise ValueError(
                f"state[{name!r}] has shape {found.shape} where its settings ask for "
                f"{array.shape}; pass what StreamingPacker.state() gave, unchanged"
            )
        arrays.append(found)
    return StreamState(*arrays)
