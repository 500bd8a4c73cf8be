"""What a user sees while training: epoch, molecules per second, loss."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar as LightningProgressBar
from pytorch_lightning.callbacks import RichProgressBar

from gnnpack.tracking.throughput import ThroughputMeter

log = logging.getLogger(__name__)

# Reading a number waits for the device, so the bar reads at most this often.
SECONDS_BETWEEN_READS = 0.5


class ProgressBar(RichProgressBar):
    """Rich progress bar with epoch, molecules/s and loss; needs a terminal.

    ``loss_key`` names the logged training loss.
    """

    def __init__(self, loss_key: str = "train/loss") -> None:
        # Ten redraws a second in Lightning 2.6; one in ten batches in 2.3.
        super().__init__(refresh_rate=10)
        self._loss_key = loss_key
        self._read_at = float("-inf")
        self._shown: dict[str, Any] = {}

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """The texts beside the bar, read again after half a second."""
        now = time.monotonic()
        if now - self._read_at >= SECONDS_BETWEEN_READS:
            self._read_at = now
            self._shown = _texts(trainer, self._loss_key)
        return self._shown

    def configure_columns(self, trainer: pl.Trainer) -> list[Any]:
        """Lightning's columns without the last one, batches/s: packs differ in molecules."""
        return list(super().configure_columns(trainer)[:-1])

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count epochs from 1, like the plain lines do."""
        super().on_train_epoch_start(trainer, pl_module)
        if self.progress is not None and self.train_progress_bar_id is not None:
            description = f"Epoch {_epoch_text(trainer)}".ljust(len(self.validation_description))
            self.progress.update(self.train_progress_bar_id, description=description)


# A log that stays silent for longer looks like a program that hangs.
SILENT_SECONDS = 120.0


class PlainProgress(LightningProgressBar):
    """One log line an epoch, for output that is no terminal.

    The validation's figure stands in the lines of epochs that had one. It is one of Lightning's
    progress bars, so the Trainer adds no bar of its own.
    """

    def __init__(self, loss_key: str = "train/loss", val_key: str = "val/mae") -> None:
        super().__init__()
        self._keys = {"loss": loss_key, "val MAE": val_key}
        self._enabled = True
        self._validated = False
        self._written = time.monotonic()

    def enable(self) -> None:
        """Write lines."""
        self._enabled = True

    def disable(self) -> None:
        """Write no lines (Lightning calls it on all ranks but the first)."""
        self._enabled = False

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Write a line now and then in a long epoch."""
        if not self._enabled or time.monotonic() - self._written < SILENT_SECONDS:
            return
        meter = _meter(trainer)
        part = 100 * (batch_idx + 1) / max(1, trainer.num_training_batches)
        rate = _text(meter.recent_molecules_per_second if meter else None)
        self._write(trainer, [f"{part:.0f} %", f"{rate} molecules/s"], ("loss",))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember it: Lightning keeps a metric until its next value, however old it is."""
        self._validated = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the epoch's line."""
        names = ("loss", "val MAE") if self._validated else ("loss",)
        self._validated = False
        if self._enabled:
            meter = _meter(trainer)
            rate = _text(meter.epoch_molecules_per_second if meter else None)
            self._write(trainer, [f"{rate} molecules/s"], names)

    def _write(self, trainer: pl.Trainer, parts: list[str], names: tuple[str, ...]) -> None:
        for name in names:
            value = _metric(trainer, self._keys[name])
            if value is not None:
                parts.append(f"{name} {value:.4g}")
        log.info("epoch %s: %s", _epoch_text(trainer), ", ".join(parts))
        self._written = time.monotonic()


def progress_callback() -> LightningProgressBar:
    """The rich bar on a terminal, plain lines otherwise."""
    return ProgressBar() if sys.stdout.isatty() else PlainProgress()


def _texts(trainer: pl.Trainer, loss_key: str) -> dict[str, Any]:
    loss, meter = _metric(trainer, loss_key), _meter(trainer)
    return {
        "molecules/s": _text(meter.recent_molecules_per_second if meter else None),
        "loss": "-" if loss is None else f"{loss:.4g}",
    }


def _epoch_text(trainer: pl.Trainer) -> str:
    text = str(trainer.current_epoch + 1)
    known = trainer.max_epochs is not None and trainer.max_epochs > 0
    return f"{text}/{trainer.max_epochs}" if known else text


def _meter(trainer: pl.Trainer) -> ThroughputMeter | None:
    meters = [c for c in trainer.callbacks if isinstance(c, ThroughputMeter)]  # type: ignore[attr-defined]
    return meters[0] if meters else None


def _text(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:,.0f}"


def _metric(trainer: pl.Trainer, key: str) -> float | None:
    metrics = trainer.callback_metrics
    # Lightning adds _step to a metric that is logged each step and each epoch.
    for name in (key, key + "_step"):
        if name in metrics:
            return float(metrics[name])
    return None
