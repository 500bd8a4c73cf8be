"""The clocks and meters of a run, and what they say when it has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import nn

from gnnpack import tracking
from gnnpack.packing import PackPlan
from gnnpack.run.data import Data
from gnnpack.run.floor import percent_of_floor
from gnnpack.training.datamodule import total_updates


class Meters:
    """What measures a run from its start on; used by ``with``.

    Args:
        run_dir: live.json is kept there.
    """

    def __init__(self, run_dir: Path) -> None:
        self.clock = tracking.WallClock()
        self.throughput = tracking.ThroughputMeter()
        self._compiling = tracking.CompileClock()
        self._metering = tracking.Metering(compiling=self._compiling)
        self._live = tracking.Live(run_dir, metering=self._metering, total_updates=total_updates)

    def tell_unit(self, unit: str) -> None:
        """Of the errors in live.json."""
        self._live.tell_unit(unit)

    @property
    def callbacks(self) -> list[pl.Callback]:
        """Of the Trainer, before all others."""
        return [self.clock, self.throughput, self._metering, self._live]

    def figures(
        self, model: nn.Module, trainer: pl.Trainer, data: Data, plan: PackPlan
    ) -> dict[str, Any]:
        """Arguments of `tracking.summary_dict`.

        Args:
            plan: of the training split.
        """
        execution: dict[str, Any] = getattr(trainer.strategy, "run_summary", {})
        metered = self._metering.summary()
        captures = {"capture_seconds": self._metering.capture_seconds}
        metered["percent_of_floor"] = percent_of_floor(model, trainer, data, plan, metered)
        return {**self.throughput.summary(), **execution, **captures, "metered": metered}

    def __enter__(self) -> Meters:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """The run has ended."""
        self._compiling.stop()
        if error is None:
            self._live.done()
        else:
            self._live.ended_by(error)
