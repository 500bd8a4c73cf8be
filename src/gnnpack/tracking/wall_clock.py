"""How long a run took, its resumed parts together."""

from __future__ import annotations

import time
from typing import Any, Callable

import pytorch_lightning as pl


class WallClock(pl.Callback):
    """Seconds since it was made, and those of the parts before; kept in checkpoints.

    What an interrupted part did after its last checkpoint is not counted: it is done again.

    Attributes:
        first_batch_seconds: from the making of this clock to the first training batch of this
            part; None before it.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._started = clock()
        self._before = 0.0
        self.first_batch_seconds: float | None = None

    @property
    def seconds(self) -> float:
        """Wall time in s."""
        return self._before + self._clock() - self._started

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note when the first batch is there."""
        if self.first_batch_seconds is None:
            self.first_batch_seconds = self._clock() - self._started

    def state_dict(self) -> dict[str, Any]:
        """Seconds so far."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Add the parts before."""
        self._before = float(state_dict["seconds"])
