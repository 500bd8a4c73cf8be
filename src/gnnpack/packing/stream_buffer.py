"""The molecules that wait to be packed: a fixed number of slots, and queues by size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Rows of slots (5, B): what was fed, how many molecules were fed before it, and the next slot of
# the same queue, or of the spare slots; -1 ends both.
NUMBER, ATOMS, PAIRS, ARRIVED, FOLLOWING = range(5)
# Rows of queues (3, K+1): first slot, last slot, length. A molecule of n atoms is of kind
# ceil(n / grain): a kind is a size, unless packs are of thousands of atoms.
FIRST, LAST, COUNT = range(3)
# limits (4,): atoms, pairs and molecules of a pack; grain.
MAX_ATOMS, MAX_PAIRS, MAX_MOLECULES, GRAIN = range(4)
# marks (13,): molecules fed; molecules that wait; molecules taken since the weights were made;
# random numbers drawn; first spare slot; largest kind; atoms and pairs of all molecules fed. The
# last five are those of `stream_weights`.
FED, WAITING, TAKEN, DRAWN, SPARE, LARGEST, ALL_ATOMS, ALL_PAIRS = range(8)


def admit(
    slots: NDArray[np.int64],
    queues: NDArray[np.int64],
    marks: NDArray[np.int64],
    grain: int,
    number: int,
    atoms: int,
    pairs: int,
) -> None:
    """Put a molecule in a spare slot, last in its queue."""
    slot = marks[SPARE]
    marks[SPARE] = slots[FOLLOWING, slot]
    slots[NUMBER, slot] = number
    slots[ATOMS, slot] = atoms
    slots[PAIRS, slot] = pairs
    slots[ARRIVED, slot] = marks[FED]
    slots[FOLLOWING, slot] = -1
    # As kind_of, but numba makes the loops half as slow again when it is called here.
    kind = atoms if grain == 1 else (atoms + grain - 1) // grain
    if queues[COUNT, kind] == 0:
        queues[FIRST, kind] = slot
    else:
        slots[FOLLOWING, queues[LAST, kind]] = slot
    queues[LAST, kind] = slot
    queues[COUNT, kind] += 1
    marks[LARGEST] = max(marks[LARGEST], kind)
    marks[FED] += 1
    marks[WAITING] += 1
    marks[ALL_ATOMS] += atoms
    marks[ALL_PAIRS] += pairs


def kind_of(atoms: int, grain: int) -> int:
    """The kind of a molecule of so many atoms."""
    return (atoms + grain - 1) // grain


def take(slots: NDArray[np.int64], queues: NDArray[np.int64], kind: int, slot: int) -> None:
    """Take a molecule out of its queue."""
    before = -1
    here = queues[FIRST, kind]
    while here != slot:
        before = here
        here = slots[FOLLOWING, here]
    after = slots[FOLLOWING, slot]
    if before < 0:
        queues[FIRST, kind] = after
    else:
        slots[FOLLOWING, before] = after
        if after < 0:
            queues[LAST, kind] = before
    queues[COUNT, kind] -= 1


def put_back(slots: NDArray[np.int64], queues: NDArray[np.int64], kind: int, slot: int) -> None:
    """Put a molecule that was taken back to its place: queues are in the order of arrival."""
    before = -1
    after = queues[FIRST, kind] if queues[COUNT, kind] > 0 else -1
    while after >= 0 and slots[ARRIVED, after] < slots[ARRIVED, slot]:
        before = after
        after = slots[FOLLOWING, after]
    slots[FOLLOWING, slot] = after
    if before < 0:
        queues[FIRST, kind] = slot
    else:
        slots[FOLLOWING, before] = slot
    if after < 0:
        queues[LAST, kind] = slot
    queues[COUNT, kind] += 1


def release(
    slots: NDArray[np.int64],
    marks: NDArray[np.int64],
    packed: NDArray[np.int64],
    opened: int,
    held: int,
) -> None:
    """Free the slots in packed[opened:opened+held]; write their molecules' numbers instead."""
    for place in range(opened, opened + held):
        slot = packed[place]
        packed[place] = slots[NUMBER, slot]
        slots[FOLLOWING, slot] = marks[SPARE]
        marks[SPARE] = slot
    marks[WAITING] -= held
    marks[TAKEN] += held
