"""Real molecules per second in training, and what the host did meanwhile."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any, Callable

import pytorch_lightning as pl
import torch

from gnnpack.tracking.step_counts import StepCounter

# Shorter windows than this make the displayed rate jump with single batches.
RECENT_WINDOW_SECONDS = 1.0


@dataclass
class Tally:
    """Real molecules, host steps and updates, and the seconds they took.

    Of the seconds: waiting for input, and blocked until the device was done.
    """

    molecules: int = 0
    host_steps: int = 0
    seconds: float = 0.0
    wait_seconds: float = 0.0
    updates: int = 0
    blocked_seconds: float = 0.0

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        self.molecules += other.molecules
        self.host_steps += other.host_steps
        self.seconds += other.seconds
        self.wait_seconds += other.wait_seconds
        self.updates += other.updates
        self.blocked_seconds += other.blocked_seconds

    @property
    def molecules_per_second(self) -> float | None:
        """Rate in molecules/s; None before anything was counted."""
        return self.molecules / self.seconds if self.seconds > 0 else None

    @property
    def input_wait_fraction(self) -> float | None:
        """Share of the seconds spent waiting for input, 0 to 1; None before any were counted."""
        if self.seconds <= 0:
            return None
        return min(1.0, max(0.0, self.wait_seconds / self.seconds))

    @property
    def host_seconds_per_update(self) -> float | None:
        """Seconds of the host's own work an update; None before any were counted.

        Hidden, where the device is busy meanwhile: then the host is blocked for a while as well.
        """
        if self.updates <= 0:
            return None
        return max(0.0, self.seconds - self.wait_seconds - self.blocked_seconds) / self.updates


@dataclass
class _Segment:
    """An uninterrupted stretch of training; its molecules stay on the device until they are read.

    Attributes:
        molecules: read so far; the rest is in ``counter``.
    """

    start: float
    wait_at_start: float
    mark_time: float
    blocked_at_start: float = 0.0
    mark_molecules: int = 0
    host_steps: int = 0
    updates: int = 0
    molecules: int = 0
    counter: StepCounter = field(default_factory=StepCounter)

    def read(self) -> int:
        """All molecules so far; waits for the device."""
        self.molecules += self.counter.take()().molecules
        return self.molecules


class ThroughputMeter(pl.Callback):
    """Measure real molecules/s of training; validation and the first host steps are left out.

    A process leaves out its first ``skip_host_steps`` host steps (caches, compilation). A run that
    never gets past them counts all but its first one and sets ``counted_all_but_first``.
    ``clock`` returns seconds. Batches need ``molecule_mask`` (bool, True = real molecule), or
    ``molecules``, the numbers of each of their updates. Waiting is read from the loader's attribute
    ``wait_seconds``, being blocked by the device from the strategy's ``blocked_seconds``; without
    that the host's own seconds are not known. Under several ranks molecules are summed over ranks,
    waiting is this rank's.
    """

    def __init__(
        self, skip_host_steps: int = 10, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        if skip_host_steps < 0:
            raise ValueError(f"skip_host_steps is {skip_host_steps}; use 0 or more host steps.")
        self.skip_host_steps = skip_host_steps
        self._clock = clock
        self._run, self._early = Tally(), Tally()
        self._epoch_run, self._epoch_early = Tally(), Tally()
        self._segment: _Segment | None = None
        self._paused = False
        self._host_steps = 0
        self._updates = 0
        self._knows_host = False
        self._world_size = 1
        self._recent: float | None = None

    @property
    def counted_all_but_first(self) -> bool:
        """True when the run is too short to leave out ``skip_host_steps`` host steps."""
        return self._run.host_steps == 0 and self._early.host_steps > 0

    @property
    def recent_molecules_per_second(self) -> float | None:
        """Molecules/s of about the last second, None at first; reading waits for the device."""
        segment = self._segment
        if segment is None or not segment.host_steps:
            return self._recent
        if self._clock() - segment.mark_time < RECENT_WINDOW_SECONDS:
            return self._recent
        molecules = segment.read()
        now = self._clock()
        rate = (molecules - segment.mark_molecules) / (now - segment.mark_time)
        segment.mark_time, segment.mark_molecules = now, molecules
        self._recent = rate * self._world_size
        return self._recent

    @property
    def epoch_molecules_per_second(self) -> float | None:
        """Molecules/s of the epoch so far, its closed segments; None at first."""
        return _first_used(self._epoch_run, self._epoch_early).molecules_per_second

    def summary(self) -> dict[str, float | None]:
        """Figures of the whole run, resumed parts included; None = not measured."""
        tally = _first_used(self._run, self._early)
        return {
            "train_molecules_per_second": tally.molecules_per_second,
            "input_wait_fraction": tally.input_wait_fraction,
            "host_seconds_per_update": tally.host_seconds_per_update if self._knows_host else None,
        }

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to count this process's host steps."""
        self._host_steps = 0
        self._world_size = trainer.world_size
        self._knows_host = getattr(trainer.strategy, "blocked_seconds", None) is not None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open a segment and an epoch."""
        self._epoch_run, self._epoch_early = Tally(), Tally()
        self._open(trainer)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Open a segment where Lightning skipped the epoch start (resume inside an epoch)."""
        self._updates = trainer.global_step
        if self._segment is None:
            self._open(trainer)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the batch's real molecules on its device, without waiting for it."""
        if self._segment is None:
            return
        updates = trainer.global_step - self._updates
        segment = self._segment
        segment.counter.add(batch, updates)
        segment.updates += updates
        segment.host_steps += 1
        self._host_steps += 1
        if self._host_steps in (1, self.skip_host_steps) and self.skip_host_steps > 0:
            self._close(trainer)
            self._open(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the segment: validation is not training."""
        self._paused = self._segment is not None
        self._close(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open a segment where validation interrupted one."""
        if self._paused:
            self._open(trainer)
        self._paused = False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the segment and log the epoch's figures."""
        self._close(trainer)
        tally = _first_used(self._epoch_run, self._epoch_early)
        rate, wait = tally.molecules_per_second, tally.input_wait_fraction
        if rate is None or wait is None:
            return
        several = trainer.world_size > 1
        pl_module.log("train/molecules_per_second", rate, sync_dist=several)
        pl_module.log("train/input_wait_fraction", wait, sync_dist=several)
        host = tally.host_seconds_per_update
        if self._knows_host and host is not None:
            pl_module.log("train/host_seconds_per_update", host, sync_dist=several)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Keep what was measured if the user stops the run; after an error drop the segment."""
        # Other ranks may be elsewhere, so a sum over ranks could hang.
        if isinstance(exception, KeyboardInterrupt) and trainer.world_size == 1:
            self._close(trainer)
        self._segment = None

    def state_dict(self) -> dict[str, Any]:
        """Tallies of the closed segments."""
        return {"run": asdict(self._run), "early": asdict(self._early)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the tallies of a resumed run."""
        self._run = Tally(**state_dict["run"])
        self._early = Tally(**state_dict["early"])

    def _open(self, trainer: pl.Trainer) -> None:
        now = self._clock()
        self._segment = _Segment(
            start=now,
            wait_at_start=_wait_seconds(trainer),
            mark_time=now,
            blocked_at_start=_blocked_seconds(trainer),
        )

    def _close(self, trainer: pl.Trainer) -> None:
        segment, self._segment = self._segment, None
        # Between an epoch's last validation and its end no batch runs: those seconds do not count.
        if segment is None or not segment.host_steps:
            return
        blocked = _blocked_seconds(trainer) - segment.blocked_at_start
        device = trainer.strategy.root_device
        if device.type == "cuda":
            asked = self._clock()
            torch.cuda.synchronize(device)
            blocked += self._clock() - asked
        seconds = self._clock() - segment.start
        molecules = segment.read()
        if trainer.world_size > 1:
            here = torch.as_tensor(molecules, device=device)
            molecules = int(trainer.strategy.reduce(here, reduce_op="sum"))
        wait = _wait_seconds(trainer) - segment.wait_at_start
        tally = Tally(molecules, segment.host_steps, seconds, wait, segment.updates, blocked)
        self._book(tally)
        if seconds >= RECENT_WINDOW_SECONDS or self._recent is None:
            self._recent = tally.molecules_per_second

    def _book(self, tally: Tally) -> None:
        if self._host_steps > self.skip_host_steps:
            self._run.add(tally)
            self._epoch_run.add(tally)
        elif self._host_steps > 1:
            self._early.add(tally)
            self._epoch_early.add(tally)


def _first_used(run: Tally, early: Tally) -> Tally:
    return run if run.host_steps > 0 else early


def _wait_seconds(trainer: pl.Trainer) -> float:
    return float(getattr(trainer.train_dataloader, "wait_seconds", 0.0))


def _blocked_seconds(trainer: pl.Trainer) -> float:
    return float(getattr(trainer.strategy, "blocked_seconds", None) or 0.0)
