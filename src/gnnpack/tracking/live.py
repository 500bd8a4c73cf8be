"""live.json: how far a run is, for those who watch it."""

from __future__ import annotations

import json
import math
import os
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Mapping

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Timer
from pytorch_lightning.utilities import rank_zero_only

from gnnpack.tracking.late_number import LateNumber
from gnnpack.tracking.metering import Metering

LIVE_FILE = "live.json"
SECONDS_BETWEEN_WRITES = 2.0
VAL_MAE = "val/mae"


class Live(pl.Callback):
    """Keep ``<run_dir>/live.json`` up to date, at most every two seconds.

    ``phase`` is starting, training, validating, testing, done, failed (``reason`` says why) or
    stopped. The first process alone writes; a disk that refuses is left in peace, since nothing of
    the result is at stake. The loss is the module's ``latest_loss``, if it has one.

    Args:
        metering: knows the rate.
        total_updates: of the whole run, infinity where it has no end.
        clock: seconds.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        metering: Metering | None = None,
        total_updates: Callable[[pl.Trainer], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._file = run_dir / LIVE_FILE
        self._metering, self._total_of = metering, total_updates
        self._clock, self._wall = clock, wall
        self._writes = getattr(rank_zero_only, "rank", 0) == 0
        self._before = _text_of(self._file)
        self._began, self._due = clock(), float("-inf")
        self._trains = False
        self._first_update, self._trained_from = 0, self._began
        self._loss, self._val_mae = LateNumber(), LateNumber()
        self._shown: dict[str, Any] = {
            "phase": "starting",
            "epoch": 1,
            "max_epochs": None,
            "updates": 0,
            "total_updates": None,
        }
        self._write()

    def tell_unit(self, unit: str) -> None:
        """Errors are in this unit."""
        self._shown["unit"] = unit

    def done(self) -> None:
        """The run has ended well."""
        self._shown["phase"] = "done"
        self._write()

    def ended_by(self, error: BaseException) -> None:
        """The run has failed, or was stopped; if it never trained, all is as before it."""
        if self._trains:
            self._shown["phase"] = "stopped"
            if isinstance(error, Exception):
                words = traceback.format_exception_only(type(error), error)[-1]
                self._shown.update(phase="failed", reason=words.partition("\n")[0])
            for number in (self._loss, self._val_mae):
                number.stop()
            self._write()
        elif self._writes:
            self._restore()

    def _restore(self) -> None:
        with suppress(OSError):
            if self._before is None:
                self._file.unlink()
            else:
                self._replace(self._before)

    # --- Lightning's hooks ---

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Learn how long it will be."""
        self._trains, self._writes = True, trainer.is_global_zero
        self._first_update, self._trained_from = trainer.global_step, self._clock()
        limited = trainer.max_epochs is not None and trainer.max_epochs > 0
        total = math.inf if self._total_of is None else self._total_of(trainer)
        self._shown["max_epochs"] = trainer.max_epochs if limited else None
        self._shown["total_updates"] = int(total) if math.isfinite(total) else None
        self._tick(trainer, "training")

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Write, if it is time."""
        if self._clock() >= self._due:
            self._tick(trainer, "training")

    def on_validation_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
        """Write, if it is time."""
        if self._clock() >= self._due:
            self._tick(trainer, "validating")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the error."""
        metrics: Mapping[str, Any] = trainer.callback_metrics
        if VAL_MAE in metrics:
            self._val_mae.send_for(metrics[VAL_MAE])

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note where it ended."""
        self._look(trainer)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write, if it is time."""
        self._tick(trainer, "testing")

    def on_test_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
        """Write, if it is time."""
        if self._clock() >= self._due:
            self._tick(trainer, "testing")

    # --- writing ---

    def _tick(self, trainer: pl.Trainer, phase: str) -> None:
        self._shown["phase"] = phase
        if self._clock() < self._due or not self._writes:
            return
        if phase == "training":
            self._look(trainer)
        self._write(self._seconds_left(trainer))

    def _look(self, trainer: pl.Trainer) -> None:
        # Not from Lightning's metrics: those of a progress bar it turns into numbers when it is
        # asked for any, and waits for the device.
        loss = getattr(trainer.lightning_module, "latest_loss", None)
        if loss is not None:
            self._loss.send_for(loss)
        epoch, most = trainer.current_epoch + 1, self._shown["max_epochs"]
        # Behind the last epoch Lightning counts on.
        self._shown["epoch"] = epoch if most is None else min(epoch, most)
        self._shown["updates"] = trainer.global_step

    def _seconds_left(self, trainer: pl.Trainer) -> float | None:
        """By the updates made so far, or by trainer.max_time where that ends first."""
        limits = []
        made, total = trainer.global_step - self._first_update, self._shown["total_updates"]
        if total is not None and made > 0:
            each = (self._clock() - self._trained_from) / made
            limits.append(max(0.0, (total - trainer.global_step) * each))
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            left = callback.time_remaining() if isinstance(callback, Timer) else None
            if left is not None:
                limits.append(max(0.0, float(left)))
        return min(limits) if limits else None

    def _write(self, seconds_left: float | None = None) -> None:
        if not self._writes:
            return
        now = self._clock()
        self._due = now + SECONDS_BETWEEN_WRITES
        rate = None if self._metering is None else self._metering.latest_molecules_per_second
        content = {
            **self._shown,
            "loss": self._loss.look(),
            "val_mae": self._val_mae.look(),
            "molecules_per_second": rate,
            "seconds": now - self._began,
            "seconds_left": seconds_left,
            "time": self._wall(),
        }
        with suppress(OSError):
            self._replace(json.dumps(content) + "\n")

    def _replace(self, text: str) -> None:
        """The whole new file or the old one; not synced: it is soon out of date."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_name(f".{LIVE_FILE}.{os.getpid()}.part")
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, self._file)


def _text_of(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return None
