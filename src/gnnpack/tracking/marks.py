"""Moments of a training: of the host, or of the device, which may be far behind it."""

from __future__ import annotations

from typing import Any, Callable, Protocol

import torch


class Mark(Protocol):
    """A moment."""

    def seconds_since(self, earlier: Any) -> float:
        """From another mark of the same kind to this one; only when it is `reached`."""

    def reached(self) -> bool:
        """Whether the moment has come; never waits."""

    def wait(self) -> None:
        """Until it has come."""


class HostMark:
    """Now."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.time = clock()

    def seconds_since(self, earlier: HostMark) -> float:
        return self.time - earlier.time

    def reached(self) -> bool:
        return True

    def wait(self) -> None:
        pass


class DeviceMark:
    """When a CUDA device will have done what it was given so far, by the device's own clock."""

    def __init__(self, device: torch.device) -> None:
        self._event: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        self._event.record(torch.cuda.current_stream(device))

    def seconds_since(self, earlier: DeviceMark) -> float:
        return 1e-3 * float(earlier._event.elapsed_time(self._event))

    def reached(self) -> bool:
        return bool(self._event.query())

    def wait(self) -> None:
        self._event.synchronize()


def marker(device: torch.device, clock: Callable[[], float]) -> Callable[[], Mark]:
    """What makes marks of a device's training."""
    if device.type == "cuda":
        return lambda: DeviceMark(device)
    return lambda: HostMark(clock)
