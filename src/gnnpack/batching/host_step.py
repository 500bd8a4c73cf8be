"""What one host call trains on where it makes several updates."""

from __future__ import annotations

from typing import NamedTuple

from gnnpack.batching.pack_batch import PackBatch
from gnnpack.batching.resident import ResidentPacks


class HostStep(NamedTuple):
    """n complete updates, one after another; exactly one of ``packs`` and ``resident`` is there."""

    packs: PackBatch | None  # (n * P, ...): the P packs of each update in turn
    resident: ResidentPacks | None  # hands out the next update's packs on the device
    molecules: tuple[int, ...]  # (n,) real molecules of each update; 0 = there is nothing to learn
    atoms: tuple[int, ...] = ()  # (n,) real atoms of each update; empty = not told

    @property
    def num_updates(self) -> int:
        """n."""
        return len(self.molecules)

    @property
    def atom_slots(self) -> int:
        """Atom slots of all packs of the call, the empty ones that complete it included."""
        if self.resident is not None:
            return self.resident.atom_slots * self.num_updates
        assert self.packs is not None, "a host step holds packs or knows who does"
        return self.packs.z.numel()

    def take(self, update: int) -> PackBatch:
        """Packs of one update, (P, ...); a resident source gives them in turn, never twice."""
        if self.resident is not None:
            return self.resident.take()
        assert self.packs is not None, "a host step holds packs or knows who does"
        return split_update(self.packs, update, self.num_updates)


def split_update(packs: PackBatch, update: int, num_updates: int) -> PackBatch:
    """Views of the packs of one of ``num_updates`` equal updates that lie end to end."""
    size = len(packs.z) // num_updates
    return PackBatch(*(tensor[update * size : (update + 1) * size] for tensor in packs))
