"""What CPU and GPU did in a few host steps, by torch's profiler: a trace or a table."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

log = logging.getLogger(__name__)

# Caches, compilation and captures are over by then.
SKIPPED_STEPS = 10
TRACED_STEPS = 4
# Of a table, the operations that take longest first.
ROWS = 60


class TraceSteps(pl.Callback):
    """Record some host steps behind the first ones, earlier ones where a run has no more.

    The first process alone records. A recorded step takes longer than others, and writing the
    file takes a while: figures of such a run are not those of another.

    Lightning's own callback of this kind needs five batches in each stage, or it may crash.

    Args:
        file: to write: ``.json`` in Chrome's trace format, any other a table of operations.
    """

    def __init__(
        self, file: Path, skipped: int = SKIPPED_STEPS, traced: int = TRACED_STEPS
    ) -> None:
        self._file, self._skipped, self._traced = file, skipped, traced
        self._step, self._first, self._last = 0, 0, 0
        self._profile: Any = None
        self._written = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose the steps."""
        steps = _host_steps_left(trainer)
        self._step = 0
        self._first = int(min(self._skipped, max(0, steps - self._traced - 1)))
        self._last = int(min(self._first + 1 + self._traced, steps))

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Begin with a step that is not kept: the first under a profiler is slow."""
        if self._step == self._first and trainer.is_global_zero:
            self._profile = _make_profile(self._last - self._first, self._write)
            self._profile.start()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """End a step; behind the last one write."""
        self._step += 1
        if self._profile is not None and self._step < self._last:
            self._profile.step()
        elif self._profile is not None:
            self._stop()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write what there is of a run that ends earlier than planned; say so if it is nothing."""
        if self._profile is not None:
            self._stop()
        if trainer.is_global_zero and not self._written:
            log.warning(
                "trainer.profiler recorded nothing: the training ended after %s host steps, and "
                "recording begins behind %s.",
                self._step,
                self._first,
            )

    def _stop(self) -> None:
        profile, self._profile = self._profile, None
        profile.stop()

    def _write(self, profile: Any) -> None:
        self._written = True
        steps = max(1, self._last - self._first - 1)
        if self._file.suffix == ".json":
            profile.export_chrome_trace(str(self._file))
            hint = " (open it in https://ui.perfetto.dev or chrome://tracing)"
            log.info("trace of %d host steps: %s%s", steps, self._file, hint)
            return
        # Both keys are there in old and new torch; on a CPU its own time is all there is.
        on_gpu = torch.cuda.is_available()
        key = "cuda_time_total" if on_gpu else "self_cpu_time_total"
        table = profile.key_averages().table(sort_by=key, row_limit=ROWS)
        self._file.write_text(f"{steps} host steps\n{table}\n", encoding="utf-8")
        log.info("profile of %d host steps: %s", steps, self._file)


def _host_steps_left(trainer: pl.Trainer) -> float:
    """From now on, 1 at least; infinity where there is no end. A resumed run has made some."""
    # The number of the last one, from 0 in the first epoch on.
    made = trainer.fit_loop.total_batch_idx + 1
    return max(1.0, _host_steps(trainer) - made)


def _host_steps(trainer: pl.Trainer) -> float:
    """Of the whole run, at most; infinity where it has no end."""
    epochs = trainer.max_epochs
    whole = (
        math.inf if epochs in (None, -1) else float(trainer.num_training_batches) * (epochs or 0)
    )
    if trainer.max_steps < 0:
        return whole
    iterations = getattr(trainer.strategy, "device_iterations", None) or 1
    return min(whole, math.ceil(trainer.max_steps * trainer.accumulate_grad_batches / iterations))


def _make_profile(steps: int, write: Any) -> Any:
    """Of so many steps; the first is not kept if there are more."""
    from torch import profiler

    action = profiler.ProfilerAction

    def schedule(step: int) -> Any:
        if step == 0 and steps > 1:
            return action.WARMUP
        return action.RECORD if step < steps - 1 else action.RECORD_AND_SAVE

    wanted = {profiler.ProfilerActivity.CPU, profiler.ProfilerActivity.CUDA}
    return profiler.profile(
        activities=wanted & set(profiler.supported_activities()),  # type: ignore[no-untyped-call]
        schedule=schedule,
        on_trace_ready=write,
    )
