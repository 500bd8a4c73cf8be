"""A number that is on its way from a device."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


class LateNumber:
    """The latest number that has arrived; one on a GPU is sent for, and never waited for.

    Attributes:
        value: None before the first, or where it was no finite number.
    """

    def __init__(self) -> None:
        self.value: float | None = None
        self._coming: tuple[Tensor, Any] | None = None

    def send_for(self, number: Tensor | float) -> None:
        """Ask for a number, 0-d; while one is on its way no other is asked for."""
        if not (isinstance(number, Tensor) and number.is_cuda):
            self._take(float(number))
        elif self._coming is None:
            host = torch.empty((), dtype=number.dtype, pin_memory=True)
            host.copy_(number.detach(), non_blocking=True)
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record(torch.cuda.current_stream(number.device))
            self._coming = host, arrived

    def look(self) -> float | None:
        """`value`, renewed if the number asked for has arrived."""
        if self._coming is not None and self._coming[1].query():
            host, self._coming = self._coming[0], None
            self._take(float(host))
        return self.value

    def stop(self) -> None:
        """Look for none any more: a device that failed cannot be asked."""
        self._coming = None

    def _take(self, value: float) -> None:
        self.value = value if math.isfinite(value) else None
