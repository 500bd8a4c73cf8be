"""Whole combined batches, each made by one call in whatever process asks: an IPU's food."""

from __future__ import annotations

from typing import Any, Iterator, Tuple

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from gnnpack.batching.assemble import PackSource, assemble
from gnnpack.batching.loader import PackLoader, update_molecules
from gnnpack.packing import PackPlan

Key = Tuple[int, int]  # epoch, call of the epoch


class CombinedBatches(Dataset):  # type: ignore[type-arg]
    """The packs of every call of every epoch: a pure function of (epoch, call).

    A call's packs are those of ``loader.device_iterations`` updates in turn, ``packs_per_update``
    each: [device iterations][accumulation][replicas][micro-batch] without a copy. The epoch's last
    call is completed with empty packs.

    Pickled, as a worker process gets it, it names the files of memory-mapped columns instead of
    holding their content.
    """

    def __init__(self, loader: PackLoader) -> None:
        self.source, self.plan, self.seed = loader.source, loader.plan, loader.seed
        self.shuffled = loader.epoch is not None
        self.packs_per_update = loader.packs_per_update
        self.packs_per_call = loader.packs_per_update * (loader.device_iterations or 1)
        self._num_calls = len(loader)
        self._epoch: tuple[int, PackPlan, np.ndarray[Any, Any]] | None = None

    def __len__(self) -> int:
        """Calls of one epoch."""
        return self._num_calls

    def __getitem__(self, key: Key) -> tuple[Tensor, ...]:
        """Fields of the call's `PackBatch`, leading dimension ``packs_per_call``."""
        epoch, call = key
        plan, step_molecules = self._plan_of(epoch)
        first = call * self.packs_per_call
        last = first + self.packs_per_call
        return tuple(assemble(self.source, plan, first, last, step_molecules[first:last]))

    def _plan_of(self, epoch: int) -> tuple[PackPlan, np.ndarray[Any, Any]]:
        """An epoch's packs, completed, and the molecules of each pack's update."""
        if self._epoch is None or self._epoch[0] != epoch:
            plan = self.plan.epoch(self.seed, epoch) if self.shuffled else self.plan
            num_packs = self._num_calls * self.packs_per_call
            molecules = np.repeat(
                update_molecules(plan, self.packs_per_update), self.packs_per_update
            )
            filler = np.zeros(num_packs - len(molecules), dtype=np.int64)
            self._epoch = epoch, plan.pad_to(num_packs), np.concatenate([molecules, filler])
        return self._epoch[1:]

    def __getstate__(self) -> dict[str, Any]:
        return {
            **self.__dict__,
            "source": tuple(map(_by_name, self.source)),
            "_epoch": None,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.source = PackSource(*map(_opened, state["source"]))


class EpochCalls(Sampler):  # type: ignore[type-arg]
    """Keys of one epoch an iteration, epoch after epoch; the first may begin inside one."""

    def __init__(self, num_calls: int, epoch: int = 0, call: int = 0) -> None:
        self.num_calls, self._next = num_calls, (epoch, call)

    def __len__(self) -> int:
        return self.num_calls

    def __iter__(self) -> Iterator[Key]:
        epoch, call = self._next
        # At the start and not at the end: who stops early begins the next epoch all the same.
        self._next = epoch + 1, 0
        return iter([(epoch, later) for later in range(call, self.num_calls)])


def _by_name(column: Any) -> Any:
    """A column that is a whole file as (file, dtype, shape, offset); any other as it is."""
    whole = column if isinstance(column, np.memmap) else getattr(column, "base", None)
    if not isinstance(whole, np.memmap):
        return column
    same = whole.shape == column.shape and whole.dtype == column.dtype
    if not same or whole.ctypes.data != column.ctypes.data:
        return column
    return whole.filename, whole.dtype.str, whole.shape, whole.offset


def _opened(column: Any) -> Any:
    if not isinstance(column, tuple):
        return column
    file, dtype, shape, offset = column
    return np.memmap(file, dtype=dtype, mode="r", shape=shape, offset=offset).view(np.ndarray)
