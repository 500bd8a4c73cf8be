"""``DataLoader``: torch's, but a batch is what one call of the executor takes.

Read in PopTorch 3.4's ``__init__.py``; the flaws a user would meet there are met here too, and
named.
"""

from __future__ import annotations

import logging
from typing import Any, Callable, Iterable, Iterator, Mapping

import torch
from torch.utils.data import IterableDataset

from gnnpack.accelerators.ipu_emulator.async_accessor import AsynchronousDataAccessor
from gnnpack.accelerators.ipu_emulator.enums import DataLoaderMode
from gnnpack.accelerators.ipu_emulator.errors import Error
from gnnpack.accelerators.ipu_emulator.options import Options

log = logging.getLogger("poptorch")


class DataLoader(torch.utils.data.DataLoader[Any]):
    """Combined batches: ``batch_size`` x device iterations x replicas x gradient accumulation.

    ``collate_fn`` sees the items of a whole combined batch at once. ``options`` are frozen.

    Args:
        batch_size: items of one micro-batch; None: an item is a combined batch (then say
            ``drop_last=False``, as torch asks). torch makes a list of an item that is a tuple.
        drop_last: True by default, unlike torch's. An executor takes no shorter batch.
        mode: Async runs the loader ahead; its batches are overwritten, see
            `AsynchronousDataAccessor`. AsyncRebatched puts combined batches together there.
        async_options: arguments of `AsynchronousDataAccessor`.
        rebatched_worker_size: items of a batch inside AsyncRebatched.
        batch_sampler: yields the items of one micro-batch; the micro-batches of a call are then
            concatenated. ``len()`` still counts micro-batches, as in PopTorch.
        torch_arguments: those of torch's DataLoader.

    Raises:
        Error: ``batch_sampler`` together with ``batch_size`` or ``shuffle``; several processes.
        ValueError: ``batch_size=None`` without ``drop_last=False``.
    """

    def __init__(
        self,
        options: Options,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        num_workers: int = 0,
        drop_last: bool = True,
        persistent_workers: bool | None = None,
        auto_distributed_partitioning: bool = True,
        mode: DataLoaderMode = DataLoaderMode.Sync,
        async_options: Mapping[str, Any] | None = None,
        rebatched_worker_size: int | None = None,
        batch_sampler: Iterable[Any] | None = None,
        **torch_arguments: Any,
    ) -> None:
        assert isinstance(options, Options), f"options is {options!r}; it is a poptorch.Options"
        options._freeze()
        if options.Distributed.numProcesses > 1:
            raise Error(
                f"Options.Distributed says {options.Distributed.numProcesses} processes; the "
                "emulator runs in one. Call options.Distributed.disable()."
            )
        if batch_sampler is not None and (batch_size != 1 or shuffle):
            raise Error("batch_sampler is mutually exclusive with batch_size and shuffle.")
        self._options = options
        micro_batches = micro_batches_per_call(options)
        self._combined_batch_size = None if batch_size is None else batch_size * micro_batches
        self._micro_batches = 1 if batch_sampler is None else micro_batches
        self._drop_combined = drop_last
        self._is_iterable = isinstance(dataset, IterableDataset)
        if batch_sampler is None:
            self._warn(dataset, num_workers, drop_last, torch_arguments)

        # Otherwise a last batch would be left over in each worker.
        combined = self._combined_batch_size
        if mode == DataLoaderMode.Async and not drop_last and (combined or 0) > 1:
            mode = DataLoaderMode.AsyncRebatched
        rebatched_size, worker_size = None, combined
        if mode == DataLoaderMode.AsyncRebatched:
            assert combined is not None, "AsyncRebatched needs a batch_size"
            rebatched_size, self.rebatched_drop_last, drop_last = combined, drop_last, False
            worker_size = rebatched_worker_size or combined
            assert worker_size <= combined, (
                f"The rebatched_worker_size ({worker_size}) must be <= to the combined batch size "
                f"({combined})"
            )
        batching: dict[str, Any] = {
            "batch_size": worker_size,
            "shuffle": shuffle,
            "drop_last": drop_last,
        }
        if batch_sampler is not None:
            batching = {"batch_sampler": batch_sampler}
        self._accessor: AsynchronousDataAccessor | None = None
        super().__init__(
            dataset,
            num_workers=num_workers,
            persistent_workers=num_workers > 0
            if persistent_workers is None
            else persistent_workers,
            **batching,
            **torch_arguments,
        )
        if mode != DataLoaderMode.Sync:
            wanted = dict(async_options or {})
            assert "rebatched_size" not in wanted, (
                "You cannot use DataLoaderMode.AsyncRebatched and manually specify the "
                "rebatched_size in async_options"
            )
            self._accessor = AsynchronousDataAccessor(self, **wanted, rebatched_size=rebatched_size)

    def __len__(self) -> int:
        size = None if self._accessor is None else self._accessor.rebatched_size
        if size is None:
            return super().__len__()
        whole, rest = divmod(len(self.dataset), size)  # type: ignore[arg-type]
        return whole + (1 if rest and not self.rebatched_drop_last else 0)

    def __iter__(self) -> Any:
        if self._accessor is not None:
            return iter(self._accessor)
        if self._micro_batches == 1:
            return super().__iter__()
        return _concatenated(super().__iter__(), self._micro_batches, self._drop_combined)

    @property
    def combinedBatchSize(self) -> int | None:
        """Items of one call of the executor; None where an item is a combined batch."""
        return self._combined_batch_size

    @property
    def options(self) -> Options:
        """The options it was made with."""
        return self._options

    def terminate(self) -> None:
        """End the worker of an asynchronous loader."""
        if self._accessor is not None:
            self._accessor.terminate()

    def _warn(
        self, dataset: Any, num_workers: int, drop_last: bool, arguments: Mapping[str, Any]
    ) -> None:
        if self._is_iterable:
            if num_workers > 1 and "worker_init_fn" not in arguments:
                log.warning(
                    "IterableDataset used with num_workers=%d but no worker_init_fn specified: as "
                    "a result the DataLoader will return %d times each element in the dataset",
                    num_workers,
                    num_workers,
                )
        elif (
            not drop_last and self._combined_batch_size and len(dataset) % self._combined_batch_size
        ):
            log.warning(
                "The number of elements in the dataset (%d) is not divisible by the number of "
                "elements processed per step (%d) and drop_last=False. The last tensor will have a "
                "batch size of %d, which an executor refuses. Switch to drop_last=True, or "
                "complete the data set.",
                len(dataset),
                self._combined_batch_size,
                len(dataset) % self._combined_batch_size,
            )


def micro_batches_per_call(options: Options) -> int:
    """Micro-batches that one call of an executor takes.

    >>> options = Options().deviceIterations(2).replicationFactor(3)
    >>> options.Training.gradientAccumulation(4) and micro_batches_per_call(options)
    24
    """
    return int(
        options.device_iterations
        * options.replication_factor
        * options.Training.gradient_accumulation
    )


def _concatenated(batches: Iterator[Any], size: int, drop_last: bool) -> Iterator[Any]:
    """``size`` batches as one, again and again."""
    kept: list[Any] = []
    for batch in batches:
        kept.append(batch)
        if len(kept) == size:
            yield _concatenate(kept)
            kept = []
    if kept and not drop_last:
        yield _concatenate(kept)


def _concatenate(batches: list[Any]) -> Any:
    first = batches[0]
    if isinstance(first, torch.Tensor):
        return torch.cat(batches)
    if isinstance(first, dict):
        return {key: _concatenate([batch[key] for batch in batches]) for key in first}
    assert isinstance(first, (tuple, list)), (
        f"a batch is a {type(first).__name__}; batches of a batch_sampler are tensors in tuples, "
        "lists or dicts"
    )
    join: Callable[[Any], Any] = list if isinstance(first, list) else tuple
    return join(_concatenate(list(parts)) for parts in zip(*batches))
