"""A `PackLoader` whose molecules and packs are on the device already."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Iterator

import numpy as np

from gnnpack.batching.assemble import PackSource
from gnnpack.batching.host_step import HostStep
from gnnpack.batching.loader import Fed, PackLoader, update_atoms
from gnnpack.batching.resident import ResidentColumns, ResidentPacks, pack_rows
from gnnpack.packing import PackPlan


class ResidentLoader(PackLoader):
    """The batches of a `PackLoader`, bit for bit, filled on the device.

    Once an epoch its plan is copied there, rows of molecules (packs, G - 1) int32; the next one is
    worked out meanwhile. A step copies nothing.

    Args:
        columns: of ``source``, on the device.
        arguments: those of `PackLoader`; ``pin_memory`` means nothing here.
    """

    def __init__(
        self, source: PackSource, plan: PackPlan, columns: ResidentColumns, **arguments: Any
    ) -> None:
        super().__init__(source, plan, **arguments)
        num_packs = self.updates_per_epoch * self.packs_per_update // self.world_size
        self._packs = ResidentPacks(columns, plan, num_packs, self.packs_per_step)
        self._ahead: tuple[int, Future[tuple[np.ndarray, np.ndarray, np.ndarray]]] | None = None

    def _steps(self, epoch: int, steps: range) -> Iterator[Fed]:
        rows, step_molecules, atoms = self._rows_of(epoch)
        per_update = self.packs_per_update // self.world_size
        self._packs.load(rows, np.repeat(step_molecules, per_update).astype(np.int64))
        self._packs.go_to(self._micro_steps(steps.start)[0] * self.packs_per_step)
        self._look_ahead(epoch + 1)
        for step in steps:
            if self.device_iterations is None:
                yield self._packs.take()
                continue
            first, last = self._micro_steps(step)
            counts = (tuple(each[first:last].tolist()) for each in (step_molecules, atoms))
            yield HostStep(None, self._packs, *counts)

    def _rows_of(self, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self._ahead is not None and self._ahead[0] == epoch:
            return self._ahead[1].result()
        return self._make_rows(epoch)

    def _make_rows(self, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of this rank's packs; molecules of each update, and this rank's atoms of it."""
        local, step_molecules = self._epoch_plan(epoch)
        atoms = update_atoms(local, self.packs_per_update // self.world_size)
        return pack_rows(self.source, local), step_molecules, atoms

    def _look_ahead(self, epoch: int) -> None:
        if self.epoch is None or not self.depth:
            return
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gnnpack-next-epoch")
        self._ahead = (epoch, pool.submit(self._make_rows, epoch))
        pool.shutdown(wait=False)
