"""A sized iterable of equal-shaped batches, one a host step."""

from __future__ import annotations

import math
import time
from typing import Callable, Iterator, Mapping

import numpy as np

from gnnpack.batching.assemble import PackSource, assemble
from gnnpack.batching.pack_batch import PackBatch
from gnnpack.batching.prefetch import prefetch
from gnnpack.packing import PackPlan


def packs_per_update(
    batch_size: int, *, num_packs: int, num_molecules: int, multiple_of: int = 1
) -> int:
    """Packs whose molecules number ``batch_size`` on average, raised to ``multiple_of``.

    Args:
        multiple_of: ranks x gradient accumulation x replicas.

    >>> packs_per_update(64, num_packs=66433, num_molecules=130831)
    32
    """
    if batch_size < 1:
        raise ValueError(
            f"batch_size is {batch_size}; it counts molecules per optimizer step: at least 1."
        )
    packs = max(1, round(batch_size * num_packs / num_molecules))
    return math.ceil(packs / multiple_of) * multiple_of


class PackLoader:
    """Batches of one rank, a pure function of (plan, seed, epoch, step).

    Every batch of a loader has the same shape: the last update is completed with empty packs,
    nothing is dropped. ``step_molecules`` counts the molecules of the whole update, all ranks and
    accumulation steps together.

    Args:
        packs_per_update: packs of one optimizer step, all ranks and accumulation steps together.
        accumulation: host steps per update.
        epoch: gives the current epoch when an iteration starts; None keeps the plan's order.
        depth: batches made ahead of their use; 0 makes them when asked.
        pin_memory: page-lock the batches, for copies to a GPU that overlap work.

    Attributes:
        wait_seconds: seconds the consumer was blocked waiting for batches so far.
    """

    def __init__(
        self,
        source: PackSource,
        plan: PackPlan,
        *,
        packs_per_update: int,
        rank: int = 0,
        world_size: int = 1,
        accumulation: int = 1,
        seed: int = 0,
        epoch: Callable[[], int] | None = None,
        depth: int = 4,
        pin_memory: bool = False,
    ) -> None:
        if packs_per_update % (world_size * accumulation):
            raise ValueError(
                f"packs_per_update is {packs_per_update}; it must be a multiple of ranks x "
                f"accumulation = {world_size} x {accumulation}, so that every host step has the "
                "same shape. Round it up."
            )
        if depth < 0:
            raise ValueError(f"loader.prefetch is {depth}; use 0 (none ahead) or more.")
        self.source = source
        self.plan = plan
        self.packs_per_update = packs_per_update
        self.packs_per_step = packs_per_update // (world_size * accumulation)
        self.rank, self.world_size, self.accumulation = rank, world_size, accumulation
        self.seed, self.epoch = seed, epoch
        self.depth, self.pin_memory = depth, pin_memory
        self.wait_seconds = 0.0
        self._position = (0, 0)
        self._resume_at: tuple[int, int] | None = None

    def __len__(self) -> int:
        """Host steps of one epoch."""
        return math.ceil(self.plan.num_packs / self.packs_per_update) * self.accumulation

    def __iter__(self) -> Iterator[PackBatch]:
        # A generator: the epoch is asked for at the first batch, when Lightning has moved on to it.
        asked = time.perf_counter()
        epoch = 0 if self.epoch is None else self.epoch()
        start, self._resume_at = self._start_of(epoch), None
        batches = prefetch(self._batches_of(epoch), range(start, len(self)), self.depth)
        self._position = (epoch, start)
        for batch in batches:
            self.wait_seconds += time.perf_counter() - asked
            self._position = (epoch, self._position[1] + 1)
            yield batch
            asked = time.perf_counter()

    def _start_of(self, epoch: int) -> int:
        """First step of an epoch: after those a restored run has done of it."""
        if self._resume_at is None or self._resume_at[0] != epoch:
            return 0
        return self._resume_at[1]

    def _batches_of(self, epoch: int) -> Callable[[int], PackBatch]:
        plan = self.plan if self.epoch is None else self.plan.epoch(self.seed, epoch)
        step_molecules = update_molecules(plan, self.packs_per_update)
        local = plan.shard(self.rank, self.world_size, self.packs_per_update)

        def make(step: int) -> PackBatch:
            start = step * self.packs_per_step
            molecules = np.full(self.packs_per_step, step_molecules[step // self.accumulation])
            batch = assemble(self.source, local, start, start + self.packs_per_step, molecules)
            return batch.pin() if self.pin_memory else batch

        return make

    def state_dict(self) -> dict[str, int]:
        """Where the iteration is."""
        return {"epoch": self._position[0], "step": self._position[1]}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on after the steps done, if the next iteration is of the same epoch."""
        self._resume_at = (state["epoch"], state["step"])


def update_molecules(plan: PackPlan, packs_per_update: int) -> np.ndarray:
    """Real molecules of each update, int64 (updates,); the last one may have fewer packs."""
    borders = plan.offsets[::packs_per_update]
    if (len(plan.offsets) - 1) % packs_per_update:
        borders = np.append(borders, plan.offsets[-1])
    return np.diff(borders)
