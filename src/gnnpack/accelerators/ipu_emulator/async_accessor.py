"""``AsynchronousDataAccessor``: an iterable, run ahead of its reader."""

from __future__ import annotations

import weakref
from typing import Any

from gnnpack.accelerators.ipu_emulator.async_batches import Epochs
from gnnpack.accelerators.ipu_emulator.async_copy import handed_over
from gnnpack.accelerators.ipu_emulator.async_ring import END, Batches, Ring, RingFiller
from gnnpack.accelerators.ipu_emulator.enums import SharingStrategy
from gnnpack.accelerators.ipu_emulator.errors import Error


class AsynchronousDataAccessor:
    """Iterate over ``dataset`` one ring of batches ahead.

    A batch is one tensor, a flat tuple or list of tensors, or a dict of tensors (a named tuple
    comes back as a plain one). **It is overwritten** after the next one is asked for: clone what
    outlives the step.

    The data set is copied when the accessor is made, as for a process: later changes of the
    original are not seen, nor is the epoch of a trainer. Only torch's tensors are shared (not with
    ``SharingStrategy.FileSystem``).

    Args:
        buffer_size: batches of the ring.
        miss_sleep_time_in_ms: without effect here; the emulator's worker waits without polling.
        load_indefinitely: begin the next epoch as soon as one ends, before it is asked for.
        early_preload: fill the ring before the first iteration asks.
        rebatched_size: rows of a batch, whatever the data set's batches have.

    Raises:
        Error: the first batch cannot be made ("worker thread failed to start"), with the cause.
        AssertionError: a later batch cannot be made.
    """

    def __init__(
        self,
        dataset: Any,
        buffer_size: int = 3,
        miss_sleep_time_in_ms: float = 0.1,
        load_indefinitely: bool = True,
        early_preload: bool = False,
        sharing_strategy: SharingStrategy = SharingStrategy.ForkServer,
        rebatched_size: int | None = None,
    ) -> None:
        if getattr(dataset, "_accessor", None) is not None:
            raise Error(
                "The DataLoader already uses an AsynchronousDataAccessor internally. Either use "
                "the existing one or set mode='poptorch.DataLoaderMode.Sync' in the DataLoader."
            )
        assert buffer_size > 0, f"buffer_size is {buffer_size}; a ring has at least one place"
        assert rebatched_size is None or rebatched_size > 1, (
            f"rebatched_size is {rebatched_size}; it must be None or greater than 1"
        )
        self.rebatched_size = rebatched_size
        self._dataset = dataset
        self._load_indefinitely = load_indefinitely
        self._fillers: list[RingFiller] = []
        # Also when the interpreter ends: a thread inside torch must not outlive it.
        self._finalizer = weakref.finalize(self, _stop, self._fillers)
        self._used = self._ended = False
        self._held: int | None = None
        try:
            self._epochs = Epochs(handed_over(dataset, sharing_strategy), rebatched_size)
            self._begun = self._epochs()
            first, num_rows = next(self._begun)
            self._ring = Ring(first, buffer_size, rebatched_size)
            self._ring.write(first, num_rows)
        except Exception as reason:
            told = "The Dataset is empty" if isinstance(reason, StopIteration) else repr(reason)
            raise Error(
                f"AsynchronousDataAccessor worker thread failed to start: {told}"
            ) from reason
        if early_preload:
            self._start(self._begun)

    def __len__(self) -> int:
        """Batches of an epoch."""
        if self.rebatched_size and getattr(self._dataset, "_accessor", None) is not self:
            return int(len(self._dataset) * self._dataset.batch_size) // self.rebatched_size
        return len(self._dataset)

    def __iter__(self) -> AsynchronousDataAccessor:
        assert self._finalizer.alive, "the accessor was terminated; make a new one"
        if not self._fillers:
            self._start(self._begun)
        elif self._used and not (self._ended and self._load_indefinitely):
            # Left half-way, or nothing was made ahead: begin the epoch anew.
            _stop(self._fillers)
            self._ring.reset()
            self._start(self._epochs())
        self._used = self._ended = False
        return self

    def __next__(self) -> Any:
        if self._held is not None:
            self._ring.free.put(self._held)
            self._held = None
        if self._ended:
            raise StopIteration
        self._used = True
        ready = self._ring.ready.get()
        if ready.place == END:
            self._ended = True
            if ready.error is not None:
                # Nothing more will come of this thread.
                self._load_indefinitely = False
                raise AssertionError(
                    f"An error occurred in the data fetcher: {ready.error!r}"
                ) from ready.error
            raise StopIteration
        self._held = ready.place
        tensors = self._ring.places[ready.place]
        if ready.num_rows >= 0:
            tensors = [tensor[: ready.num_rows] for tensor in tensors]
        return self._epochs.structure.build(tensors)

    def terminate(self) -> None:
        """End the worker; the accessor is of no more use."""
        self._finalizer()

    def _start(self, batches: Batches) -> None:
        self._held = None
        self._fillers.append(RingFiller(self._ring, batches, self._epochs, self._load_indefinitely))


def _stop(fillers: list[RingFiller]) -> None:
    while fillers:
        fillers.pop().stop()
