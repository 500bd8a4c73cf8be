"""How long kernels take on a device: replayed as a CUDA graph, and launched from Python."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from typing import Any, Callable, Iterator

import torch

from gnnpack.bench.timing import Spread, spread

WARM_UPS = 3
# Launched one after the other before the host waits: an eager step is not waited for either.
LAUNCHES = 20


class DeviceClock:
    """Times calls that only launch kernels.

    Args:
        repeats: of which median, p10 and p90 are told.
    """

    def __init__(self, device: str, repeats: int) -> None:
        self.device, self.repeats = torch.device(device), repeats
        self._is_cuda = self.device.type == "cuda"

    def replayed(self, call: Callable[[], Any], calls_per_graph: int = 10) -> dict[str, float]:
        """Seconds of one call among ``calls_per_graph`` in a graph, by the device's own clock.

        On the CPU, which has no graphs, those of the calls.
        """
        if not self._is_cuda:
            return self._launched(call, 1)._asdict()
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                call()
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=side):
            for _ in range(calls_per_graph):
                call()
        for _ in range(WARM_UPS):
            graph.replay()
        new_event: Any = partial(torch.cuda.Event, enable_timing=True)
        marks = [(new_event(), new_event()) for _ in range(self.repeats)]
        for begin, end in marks:
            begin.record()
            graph.replay()
            end.record()
        torch.cuda.synchronize()
        milliseconds = [begin.elapsed_time(end) for begin, end in marks]
        return spread([1e-3 * one / calls_per_graph for one in milliseconds])._asdict()

    def launched(self, call: Callable[[], Any]) -> dict[str, float]:
        """Seconds of a call launched from Python, one after the other."""
        return self._launched(call, LAUNCHES if self._is_cuda else 1)._asdict()

    def _launched(self, call: Callable[[], Any], count: int) -> Spread:
        for _ in range(WARM_UPS if self._is_cuda else 1):
            call()
        self.wait()
        seconds = []
        for _ in range(self.repeats):
            begin = time.perf_counter()
            for _ in range(count):
                call()
            self.wait()
            seconds.append((time.perf_counter() - begin) / count)
        return spread(seconds)

    def wait(self) -> None:
        """Until the device has done all it was given."""
        if self._is_cuda:
            torch.cuda.synchronize()


@contextmanager
def matmul_precision(name: str) -> Iterator[None]:
    """Float32 products as ``float32`` or ``tf32`` has them, for a while."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest" if name == "float32" else "high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
