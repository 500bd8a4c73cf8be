"""Inside the run of a trial: tell the study each validation, and stop when others are better."""

from __future__ import annotations

import json
import logging
import math
import os
from pathlib import Path

import pytorch_lightning as pl

from gnnpack.experiments.trial_report import TrialReport
from gnnpack.experiments.trial_run import TRIAL_VARIABLE

log = logging.getLogger(__name__)

MONITOR = "val/mae"


def trial_callbacks() -> list[pl.Callback]:
    """The callback of a run that a search started, which the environment says; else nothing."""
    words = os.environ.get(TRIAL_VARIABLE)
    return [] if not words else [PruneTrial(TrialReport(**json.loads(words)))]


def was_pruned(trainer: pl.Trainer) -> bool:
    """Whether the run was stopped by the study."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return any(isinstance(one, PruneTrial) and one.pruned for one in callbacks)


class PruneTrial(pl.Callback):
    """Reports ``val/mae`` after each validation and stops the run when the pruner says so.

    Rank 0 reports and decides for all. A stopped run leaves ``pruned.json`` in its folder.
    """

    def __init__(self, report: TrialReport) -> None:
        self.pruned = False
        self._report = report

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report; stop if others were better at the same validation.

        Raises:
            ValueError: the error is no number.
        """
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        value = float(trainer.callback_metrics[MONITOR])
        if not math.isfinite(value):
            raise ValueError(
                f"diverged: {MONITOR} is {value} after {trainer.global_step} updates. "
                "A lower optimizer.lr, or trainer.gradient_clip_val, may help."
            )
        step = validations_done(trainer)
        stop = trainer.is_global_zero and self._report.should_stop(step, value)
        if not trainer.strategy.broadcast(stop):
            return
        self.pruned = True
        trainer.should_stop = True
        if trainer.is_global_zero:
            self._report.write_stop(Path(trainer.default_root_dir), step, value)
            log.info("Pruned at validation %d: other trials were better there.", step)


def validations_done(trainer: pl.Trainer) -> int:
    """How many validations the schedule had up to now, this one included; the same after a resume.

    Trials are compared at the same number, whatever their batch size.
    """
    between = trainer.val_check_batch
    if not isinstance(between, int) or between < 1:
        return trainer.current_epoch + 1
    return max(1, (trainer.fit_loop.total_batch_idx + 1) // between)
