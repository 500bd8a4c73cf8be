"""The plan of an epoch made for real, cut for its ranks, and counted."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Iterator

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing import Packer, PackPlan, PackShape
from gnnpack.packing.scale_ranks import rank_molecules, rank_packs

if TYPE_CHECKING:
    from gnnpack.commands.plan_sizes import MoleculeSizes


@dataclass(frozen=True)
class Assembled:
    """A true plan, and what every rank gets of its first epoch.

    seconds: what was done -> how long, in order. molecules: (world_size,) of each rank, empty
    before `assemble`. resident_bytes: of this process before the first size was made and at its
    highest since it began; None outside Linux.
    """

    plan: PackPlan
    molecules: NDArray[np.int64]
    seconds: dict[str, float] = field(default_factory=dict)
    resident_bytes: tuple[int, int] | None = None


def every_molecule(molecules: MoleculeSizes, seed: int) -> NDArray[np.int64] | NDArray[np.int32]:
    """Number of atoms of every molecule, (M,), in its order or, of counts, in one drawn by seed."""
    if molecules.num_atoms is not None:
        return molecules.num_atoms
    num_atoms = np.repeat(molecules.sizes.astype(np.int32), molecules.counts)
    np.random.default_rng(seed).shuffle(num_atoms)
    return num_atoms


def make_plan(molecules: MoleculeSizes, packer: Packer, shape: PackShape, seed: int) -> Assembled:
    """The plan of all molecules, checked; ValueError: what the packer refuses."""
    before = resident_bytes()
    seconds: dict[str, float] = {}
    with _timed(seconds, "sizes of all molecules, shuffled"):
        num_atoms = every_molecule(molecules, seed)
    with _timed(seconds, "plan"):
        plan = packer(num_atoms, shape)
    with _timed(seconds, "check: each molecule in one pack, no pack over its shape"):
        plan.validate()
    return Assembled(plan, np.zeros(0, dtype=np.int64), seconds, before)


def assemble(made: Assembled, packs_per_update: int, world_size: int, seed: int) -> Assembled:
    """Shuffle the first epoch, count what each rank gets, cut the first, middle and last shard.

    AssertionError: a shard and the count of its rank differ, or a molecule is lost between ranks.
    """
    plan, seconds = made.plan, dict(made.seconds)
    with _timed(seconds, "first epoch, shuffled"):
        epoch = plan.epoch(seed, 0)
    ranks = rank_packs(epoch.num_packs, packs_per_update, world_size)
    with _timed(seconds, "molecules of every rank"):
        molecules = rank_molecules(epoch, packs_per_update, world_size)
    assert molecules.sum() == plan.num_molecules, "every molecule is one rank's"
    for rank in sorted({0, world_size // 2, world_size - 1}):
        with _timed(seconds, f"shard of rank {rank:,}"):
            shard = epoch.shard(rank, world_size, packs_per_update)
        assert shard.num_packs == ranks.packs_per_rank, "every rank has as many packs"
        assert shard.num_molecules == molecules[rank], "a rank's count is that of its shard"
    before, after = made.resident_bytes, resident_bytes()
    known = None if before is None or after is None else (before[0], after[1])
    return Assembled(plan, molecules, seconds, known)


def resident_bytes() -> tuple[int, int] | None:
    """Resident memory of this process, now and at its highest, in bytes; None outside Linux."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            found = dict(line.split(":", 1) for line in status)
    except OSError:
        return None
    return 1024 * int(found["VmRSS"].split()[0]), 1024 * int(found["VmHWM"].split()[0])


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start
