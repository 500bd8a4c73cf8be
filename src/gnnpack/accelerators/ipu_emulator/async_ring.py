"""A ring of reused batches between one thread that fills it and one that reads.

PopTorch fills a ring in shared memory from a worker process. Here a thread does, on its own copy of
the data set: starting a process takes seconds, and a user cannot tell the difference by what the
emulator promises: batches are made ahead, a batch lives until its place in the ring is filled
again, the data set sees nothing the caller changes later (but tensors, which processes share too),
and what it raises is told as PopTorch tells it. What differs: threads share the interpreter lock,
so no speed can be read from it, and no ``if __name__ == "__main__"`` is asked for.
"""

from __future__ import annotations

import queue
import threading
from typing import Any, Callable, Iterator, NamedTuple, Sequence, Tuple

import torch
from torch import Tensor

END = -1
# Tensors of a batch, and how many of their rows count (-1 = all).
Batches = Iterator[Tuple[Sequence[Tensor], int]]


class Ready(NamedTuple):
    """What the reader gets: a place of the ring and how many rows of it count, or END."""

    place: int
    num_rows: int = -1  # all
    error: Any = None


class Ring:
    """``size`` places; each holds the tensors of one batch, of shapes and types fixed at first.

    Args:
        first: tensors of the first batch.
        size: places.
        num_rows: rows of a place, where it is not ``first``'s own (rebatching).
    """

    def __init__(self, first: Sequence[Tensor], size: int, num_rows: int | None = None) -> None:
        self.places = [
            [
                torch.empty(
                    tensor.shape if num_rows is None else (num_rows, *tensor.shape[1:]),
                    dtype=tensor.dtype,
                )
                for tensor in first
            ]
            for _ in range(size)
        ]
        self.reset()

    def reset(self) -> None:
        """All places free again; the memory stays. Nobody may be filling."""
        self.stopped = False
        self.free: queue.Queue[int] = queue.Queue()
        self.ready: queue.Queue[Ready] = queue.Queue()
        for place in range(len(self.places)):
            self.free.put(place)

    def stop(self) -> None:
        """Let a writer go that waits for a place."""
        self.stopped = True
        self.free.put(END)

    def write(self, batch: Sequence[Tensor], num_rows: int = -1) -> bool:
        """Wait for a free place and copy a batch to it; False: the reader has stopped us.

        Raises:
            ValueError: a batch unlike the first. (PopTorch would broadcast it, or die.)
        """
        expected = [(tuple(t.shape), t.dtype) for t in self.places[0]]
        found = [(tuple(t.shape), t.dtype) for t in batch]
        if num_rows >= 0:
            expected = [((num_rows, *shape[1:]), dtype) for shape, dtype in expected]
        if found != expected:
            raise ValueError(
                f"a batch has tensors of {found}; the ring was made for {expected}, as the first "
                "batch had. All batches must be alike: drop or complete the last one."
            )
        place = self.free.get()
        if self.stopped:
            return False
        for kept, tensor in zip(self.places[place], batch):
            kept[: len(tensor)].copy_(tensor) if num_rows >= 0 else kept.copy_(tensor)
        self.ready.put(Ready(place, num_rows))
        return True


class RingFiller:
    """The thread that fills a ring with the batches of an iterable.

    Args:
        batches: what is left of this epoch, as (tensors, rows that count; -1 = all).
        epochs: gives the batches of each later epoch.
        indefinitely: begin the next epoch at once when one ends, instead of stopping.
    """

    def __init__(
        self,
        ring: Ring,
        batches: Batches,
        epochs: Callable[[], Batches],
        indefinitely: bool,
    ) -> None:
        self.ring = ring
        self._thread = threading.Thread(
            target=_fill,
            args=(ring, batches, epochs, indefinitely),
            name="poptorch-loader",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self.ring.stop()
        self._thread.join(timeout=5.0)
        # For a reader that is still at it.
        told = RuntimeError("the loader was terminated in the middle of an epoch")
        self.ring.ready.put(Ready(END, error=told))


def _fill(ring: Ring, batches: Batches, epochs: Callable[[], Batches], indefinitely: bool) -> None:
    try:
        while True:
            for batch, num_rows in batches:
                if not ring.write(batch, num_rows):
                    return
            ring.ready.put(Ready(END))
            if not indefinitely:
                return
            batches = epochs()
    except BaseException as reason:
        # Handed over: a thread has nobody to raise to.
        ring.ready.put(Ready(END, error=reason))
