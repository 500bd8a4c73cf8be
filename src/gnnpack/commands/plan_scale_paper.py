"""An epoch on many ranks as numbers: packs, bytes, rates. Nothing here is measured."""

from __future__ import annotations

from typing import NamedTuple

from gnnpack.packing.advice import pack_bytes
from gnnpack.packing.scale_ranks import RankPacks

# Columns of the store that a batch is made from: z uint8, pos 3 float32 an atom ...
STORE_BYTES_OF_ATOM = 1 + 12
# ... where it begins (int64) and its target (float64) a molecule.
STORE_BYTES_OF_MOLECULE = 8 + 8
BYTES_OF_GRADIENT = 4  # float32
RING = "ring all-reduce: Patarasuk and Yuan 2009, J. Parallel Distrib. Comput. 69, 117-124"


class Paper(NamedTuple):
    """One epoch of one model on `num_nodes` hosts of `devices` devices each.

    num_atoms, molecule_slots: of a pack. ranks: packs of an epoch and who gets them. lower_bound:
    packs that any packer needs, proven.
    """

    num_molecules: int
    total_atoms: int
    num_atoms: int
    molecule_slots: int
    lower_bound: int
    ranks: RankPacks
    devices: int
    num_nodes: int
    num_parameters: int

    @property
    def molecules_per_pack(self) -> float:
        """On average over packs that are not completed ones."""
        return self.num_molecules / self.ranks.num_packs

    @property
    def molecules_per_update(self) -> float:
        """On average over whole updates; the last one of an epoch may have fewer."""
        return self.molecules_per_pack * self.ranks.packs_per_update

    @property
    def filler_share(self) -> float:
        """Atom slots that no molecule owns, empty packs included, in [0, 1)."""
        slots = self.ranks.updates * self.ranks.packs_per_update * self.num_atoms
        return 1 - self.total_atoms / slots

    @property
    def empty_share(self) -> float:
        """Empty packs over all packs of an epoch, in [0, 1)."""
        return self.ranks.empty_packs / (self.ranks.updates * self.ranks.packs_per_update)

    @property
    def rank_batch_bytes(self) -> int:
        """Of the `PackBatch` of one rank and update."""
        return self.ranks.packs_per_rank_update * pack_bytes(self.num_atoms, self.molecule_slots)

    @property
    def host_batch_bytes(self) -> int:
        """Of the batches that a host hands to all its devices for one update."""
        return self.devices * self.rank_batch_bytes

    @property
    def host_store_bytes(self) -> float:
        """Read from the store for them, on average over whole updates."""
        molecules = self.molecules_per_update / self.num_nodes
        atoms = molecules * self.total_atoms / self.num_molecules
        return atoms * STORE_BYTES_OF_ATOM + molecules * STORE_BYTES_OF_MOLECULE

    @property
    def gradient_bytes(self) -> int:
        """Of all gradients, once."""
        return self.num_parameters * BYTES_OF_GRADIENT

    @property
    def link_bytes(self) -> float:
        """Sent over each link of the ring in one update: 2 (N - 1) / N of the gradients, see RING.

        N - 1 steps sum a share on each rank, N - 1 more hand the sums round; every rank sends and
        receives 1 / N of the gradients a step.
        """
        size = self.ranks.world_size
        return 2 * (size - 1) / size * self.gradient_bytes

    @property
    def sum_steps(self) -> int:
        """Messages one after another in one update's ring: each adds the network's latency."""
        return 2 * (self.ranks.world_size - 1)


class Pace(NamedTuple):
    """What a rate of one device asks of hosts and links, if no device ever waits.

    seconds_per_update: computing alone; summing gradients is taken to cost nothing.
    """

    seconds_per_update: float
    epoch_seconds: float
    molecules_per_second: float
    host_molecules_per_second: float
    host_batch_bytes_per_second: float
    host_store_bytes_per_second: float
    link_bytes_per_second: float


def pace(paper: Paper, molecules_per_second: float) -> Pace:
    """The pace of devices that each train `molecules_per_second`; ValueError: not above 0.

    A pack costs a device the same whether full or empty, so the empty packs of the last update
    count in an epoch's seconds.
    """
    if not 0 < molecules_per_second < float("inf"):
        raise ValueError(f"rate={molecules_per_second}; a device's molecules/s must be above 0.")
    packs = paper.ranks.packs_per_rank_update
    seconds = packs * paper.molecules_per_pack / molecules_per_second
    host = molecules_per_second * paper.devices
    return Pace(
        seconds_per_update=seconds,
        epoch_seconds=paper.ranks.updates * seconds,
        molecules_per_second=host * paper.num_nodes,
        host_molecules_per_second=host,
        host_batch_bytes_per_second=paper.host_batch_bytes / seconds,
        host_store_bytes_per_second=paper.host_store_bytes / seconds,
        link_bytes_per_second=paper.link_bytes / seconds,
    )
