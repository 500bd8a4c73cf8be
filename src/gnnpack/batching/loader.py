"""A sized iterable of equal-shaped batches, one a host step."""

from __future__ import annotations

import math
import time
from typing import Any, Callable, Iterator, Mapping, Union

import numpy as np

from gnnpack.batching.assemble import PackSource, assemble
from gnnpack.batching.host_step import HostStep
from gnnpack.batching.pack_batch import PackBatch
from gnnpack.batching.prefetch import prefetch
from gnnpack.packing import PackPlan

Fed = Union[PackBatch, HostStep]


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
        device_iterations: updates of one host step, at most those of an epoch. The loader then
            yields `HostStep`; an epoch's last one has the updates that are left. None: one
            `PackBatch` a host step.

    Attributes:
        wait_seconds: seconds the consumer was blocked waiting for batches so far.
        updates_per_epoch: optimizer steps of a whole epoch.
        stand_in: the loader a strategy iterates instead of this one; its position is this one's.
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
        device_iterations: int | None = None,
    ) -> None:
        if packs_per_update % (world_size * accumulation):
            raise ValueError(
                f"packs_per_update is {packs_per_update}; it must be a multiple of ranks x "
                f"accumulation = {world_size} x {accumulation}, so that every host step has the "
                "same shape. Round it up."
            )
        if depth < 0:
            raise ValueError(f"loader.prefetch is {depth}; use 0 (none ahead) or more.")
        whole = device_iterations is None or world_size * accumulation == 1
        assert whole, "several updates a host step are those of one device, without accumulation"
        self.source = source
        self.plan = plan
        self.packs_per_update = packs_per_update
        self.packs_per_step = packs_per_update // (world_size * accumulation)
        self.rank, self.world_size, self.accumulation = rank, world_size, accumulation
        self.seed, self.epoch = seed, epoch
        self.depth, self.pin_memory = depth, pin_memory
        self.updates_per_epoch = math.ceil(plan.num_packs / packs_per_update)
        self.device_iterations = (
            None if device_iterations is None else min(device_iterations, self.updates_per_epoch)
        )
        self.wait_seconds = 0.0
        self._position = (0, 0)
        self._resume_at: Mapping[str, int] | None = None
        self.stand_in: PackLoader | None = None

    def __len__(self) -> int:
        """Host steps of one epoch."""
        if self.device_iterations is None:
            return self.updates_per_epoch * self.accumulation
        return math.ceil(self.updates_per_epoch / self.device_iterations)

    # Any: `PackBatch`, or `HostStep` with device_iterations.
    def __iter__(self) -> Iterator[Any]:
        # A generator: the epoch is asked for at the first batch, when Lightning has moved on to it.
        asked = time.perf_counter()
        epoch = 0 if self.epoch is None else self.epoch()
        start, self._resume_at = self._start_of(epoch), None
        self._position = (epoch, start)
        for batch in self._steps(epoch, range(start, len(self))):
            self.wait_seconds += time.perf_counter() - asked
            self._position = (epoch, self._position[1] + 1)
            yield batch
            asked = time.perf_counter()

    def with_packs_per_update(self, packs_per_update: int) -> PackLoader:
        """The same packs in updates, or batches of an evaluation, of another size."""
        return PackLoader(
            self.source,
            self.plan,
            packs_per_update=packs_per_update,
            rank=self.rank,
            world_size=self.world_size,
            accumulation=self.accumulation,
            seed=self.seed,
            epoch=self.epoch,
            depth=self.depth,
            pin_memory=self.pin_memory,
            device_iterations=self.device_iterations,
        )

    def updates_of(self, host_steps: int) -> int:
        """Updates that the first ``host_steps`` of an epoch make."""
        if self.device_iterations is None:
            return math.ceil(host_steps / self.accumulation)
        return min(host_steps * self.device_iterations, self.updates_per_epoch)

    def _start_of(self, epoch: int) -> int:
        """First step of an epoch: after those a restored run has done of it."""
        kept = self._resume_at
        if kept is None or kept["epoch"] != epoch:
            return 0
        before, now = kept.get("device_iterations", 1), self.device_iterations or 1
        if before == now:
            return kept["step"]
        if kept["step"] * before >= self.updates_per_epoch:
            return len(self)
        raise ValueError(
            f"This run stopped inside epoch {epoch}, where a host step made {before} updates; now "
            f"it would make {now}. Resume it with accelerator.device_iterations={before}, or from "
            "a checkpoint of an epoch's end."
        )

    def _steps(self, epoch: int, steps: range) -> Iterator[Fed]:
        """The host steps ``steps`` of an epoch."""
        local, step_molecules = self._epoch_plan(epoch)

        def make(step: int) -> Fed:
            first, last = self._micro_steps(step)
            molecules = step_molecules[np.arange(first, last) // self.accumulation]
            batch = assemble(
                self.source,
                local,
                first * self.packs_per_step,
                last * self.packs_per_step,
                np.repeat(molecules, self.packs_per_step),
            )
            atoms = batch.num_atoms
            batch = batch.pin() if self.pin_memory else batch
            if self.device_iterations is None:
                return batch
            counts = molecules.tolist(), atoms.view(len(molecules), -1).sum(1).tolist()
            return HostStep(batch, None, *map(tuple, counts))

        return prefetch(make, steps, self.depth)

    def _micro_steps(self, step: int) -> tuple[int, int]:
        """Micro-batches of a host step, first and behind the last, counted over the epoch."""
        if self.device_iterations is None:
            return step, step + 1
        first = step * self.device_iterations
        return first, min(first + self.device_iterations, self.updates_per_epoch)

    def _epoch_plan(self, epoch: int) -> tuple[PackPlan, np.ndarray]:
        """This rank's packs of an epoch, and the real molecules of each update."""
        plan = self.plan if self.epoch is None else self.plan.epoch(self.seed, epoch)
        step_molecules = update_molecules(plan, self.packs_per_update)
        return plan.shard(self.rank, self.world_size, self.packs_per_update), step_molecules

    def state_dict(self) -> dict[str, Any]:
        """Where the iteration is."""
        if self.stand_in is not None:
            return self.stand_in.state_dict()
        return {
            "epoch": self._position[0],
            "step": self._position[1],
            "device_iterations": self.device_iterations or 1,
        }

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on after the steps done, if the next iteration is of the same epoch."""
        if self.stand_in is not None:
            self.stand_in.load_state_dict(state)
        self._resume_at = dict(state)


def update_molecules(plan: PackPlan, packs_per_update: int) -> np.ndarray:
    """Real molecules of each update, int64 (updates,); the last one may have fewer packs."""
    borders = plan.offsets[::packs_per_update]
    if (len(plan.offsets) - 1) % packs_per_update:
        borders = np.append(borders, plan.offsets[-1])
    return np.diff(borders)


def update_atoms(plan: PackPlan, packs_per_update: int) -> np.ndarray:
    """Real atoms of each update, int64 (updates,); the last one may have fewer packs."""
    atoms = plan.atoms_per_pack
    return np.add.reduceat(atoms, np.arange(0, len(atoms), packs_per_update))
