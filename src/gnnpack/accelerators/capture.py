"""The few calls to CUDA that a captured step needs, in one place.

Everything else of `CUDAGraphStrategy` runs anywhere; tests put an emulation in this place.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import Any, Callable, Iterator

import torch
from torch import Tensor


class Graph:
    """A captured function: `replay` runs its kernels again on the same memory.

    Args:
        output: what the function returned in the capture; each replay overwrites it.
    """

    def __init__(self, replay: Callable[[], None], output: Tensor) -> None:
        self.replay = replay
        self.output = output


class CUDACapture:
    """Streams, graphs and copies of one CUDA device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream: torch.cuda.Stream | None = None

    @contextmanager
    def warm_up(self) -> Iterator[None]:
        """Run what is inside on the stream that captures: gradients remember their stream."""
        side, current = self._side(), torch.cuda.current_stream(self.device)
        side.wait_stream(current)
        with torch.cuda.stream(side):
            yield
        current.wait_stream(side)

    def capture(self, function: Callable[[], Tensor]) -> Graph:
        """Record the kernels of ``function``; none runs."""
        torch.cuda.synchronize(self.device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._side()):
            output = function()
        return Graph(graph.replay, output)

    def upload(self, kept: Tensor, values: list[Any]) -> None:
        """Overwrite a device tensor without waiting; pinned memory is freed when it was read."""
        kept.copy_(torch.tensor(values, dtype=kept.dtype).pin_memory(), non_blocking=True)

    def download(self, values: Tensor) -> Callable[[], tuple[list[float], float]]:
        """Start to copy (n,) numbers to the host; gives them, and the seconds it waited for them.

        The copy is in order with the kernels, so ``values`` may be overwritten at once.
        """
        host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        host.copy_(values, non_blocking=True)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record(torch.cuda.current_stream(self.device))

        def read() -> tuple[list[float], float]:
            asked = time.perf_counter()
            arrived.synchronize()
            return host.tolist(), time.perf_counter() - asked

        return read

    def _side(self) -> torch.cuda.Stream:
        if self._stream is None:
            self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        return self._stream
