"""What a run costs: rates over windows, step times, filler, memory, energy, compilation."""

from __future__ import annotations

import time
from typing import Any, Callable, Sequence

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn

from gnnpack.tracking.compile_clock import CompileClock
from gnnpack.tracking.energy import EnergyCounter, EnergyTally, energy_counters
from gnnpack.tracking.marks import Mark, marker
from gnnpack.tracking.measured import Measured
from gnnpack.tracking.peak_memory import (
    forget_device_peak,
    peak_device_bytes,
    peak_host_bytes,
)
from gnnpack.tracking.pieces import Pieces
from gnnpack.tracking.step_counts import Counts
from gnnpack.tracking.windows import LEAST_SECONDS

# A busy server's counter of energy begins anew within minutes.
SECONDS_BETWEEN_READINGS = 10.0


class Metering(pl.Callback):
    """Measure training alone: validation is left out, and of rates the first host steps.

    Nothing here waits for a device but where a validation begins or an epoch ends, and behind the
    first and the last of the first host steps if energy is told. Under several ranks each measures
    itself; rates are those times the number of ranks.

    Args:
        skip_host_steps: the first of each process, in which caches are filled and kernels
            compiled. A run that never gets past them counts all but its first one.
        compiling: knows the seconds of compilation before the first step.
        clock: seconds.
        counters: of energy, for a device.
        marks: makes what marks moments of a device, of it and the clock.
    """

    def __init__(
        self,
        skip_host_steps: int = 10,
        *,
        compiling: CompileClock | None = None,
        clock: Callable[[], float] = time.perf_counter,
        counters: Callable[[Any], Sequence[EnergyCounter]] = energy_counters,
        marks: Callable[[Any, Any], Callable[[], Mark]] = marker,
    ) -> None:
        self.skip_host_steps = skip_host_steps
        self._compiling, self._clock = compiling, clock
        self._make_counters, self._make_marks = counters, marks
        self._run, self._early = Measured(), Measured()
        self._totals, self._seconds = Counts(), 0.0
        # Of earlier parts.
        self._compiled = self._captured = 0.0
        # What follows is of this process.
        self._strategy: Any = None
        self._device, self._ranks = torch.device("cpu"), 1
        self._pieces = Pieces(self._make_marks(self._device, clock))
        self._energy = EnergyTally([], 1)
        self._first_steps: list[float] = []
        self._updates = 0
        self._paused = False
        self._last = self._cut_at = self._read_at = self._waited = 0.0

    # --- what was measured ---

    @property
    def latest_molecules_per_second(self) -> float | None:
        """Of the last window that is known; reading it does not wait for a device."""
        rate = self._used.windows.latest_molecules_per_second
        return None if rate is None else rate * self._ranks

    @property
    def capture_seconds(self) -> float | None:
        """Spent on captures, in earlier parts too; None where nothing was ever captured."""
        here = self._captured_here
        return None if here is None and not self._captured else self._captured + (here or 0.0)

    def summary(self) -> dict[str, Any]:
        """Figures of the run, resumed parts included; None = not measured."""
        used, slots = self._used, self._totals.atom_slots
        joules = used.joules_per_molecule if self._energy.tells else None
        return {
            **used.windows.summary(self._ranks),
            **used.steps.summary(),
            "filler_fraction": 1.0 - self._totals.atoms / slots if slots else None,
            "peak_host_bytes": peak_host_bytes(),
            "peak_device_bytes": peak_device_bytes(self._device),
            "energy_joules_per_molecule": joules,
            "energy_source": None if joules is None else self._energy.source,
            "compile_seconds": self._compile_seconds(),
            "train_seconds": self._seconds if self._seconds > 0 else None,
        }

    @property
    def _used(self) -> Measured:
        return self._early if self._run.is_empty else self._run

    @property
    def _captured_here(self) -> float | None:
        told = getattr(self._strategy, "run_summary", {}).get("capture_seconds")
        return None if told is None else float(told)

    def _compile_seconds(self) -> float | None:
        """Compiled before the first step, and what the first steps took beyond the usual.

        Captures are made in the first steps and are no compilation.
        """
        usual = self._used.steps.percentile(50)
        if usual is None:
            return None
        beyond = sum(max(0.0, seconds - usual) for seconds in self._first_steps)
        return self._compiled + max(0.0, beyond - (self._captured_here or 0.0))

    # --- Lightning's hooks ---

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to count this process's host steps."""
        self._strategy = trainer.strategy
        self._device, self._ranks = trainer.strategy.root_device, trainer.world_size
        self._pieces = Pieces(self._make_marks(self._device, self._clock))
        self._energy = EnergyTally(self._make_counters(self._device), trainer.num_devices)
        self._first_steps = []
        self._updates = trainer.global_step
        self._compiled += 0.0 if self._compiling is None else self._compiling.seconds
        forget_device_peak(self._device)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open a stretch and an epoch."""
        self._run.begin_epoch()
        self._early.begin_epoch()
        self._open(trainer)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Open a stretch where Lightning skipped the epoch start (resume inside an epoch)."""
        if not self._pieces.is_open:
            self._open(trainer)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the batch; end a piece about every second."""
        if not self._pieces.is_open:
            return
        now = self._clock()
        number = self._pieces.add(batch, self._updates_of(trainer, batch))
        if number <= self.skip_host_steps:
            self._note_first_step(trainer, now)
        warm_up = self.skip_host_steps > 0 and number in (1, self.skip_host_steps)
        if warm_up or now - self._cut_at >= LEAST_SECONDS:
            self._cut_at = now
            self._pieces.cut()
            # Else what the device still has to do of the first steps would draw from the others.
            self._settle(wait=warm_up and self._energy.tells)
        if warm_up or now - self._read_at >= SECONDS_BETWEEN_READINGS:
            self._read_energy(number, now)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the stretch: validation is not training."""
        self._paused = self._pieces.is_open
        self._close()

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the seconds of training that this validation comes after."""
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            pl_module.log("train/seconds", self._seconds, sync_dist=self._ranks > 1)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open one where validation interrupted one."""
        if self._paused:
            self._open(trainer)
        self._paused = False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the stretch and log the epoch's figures."""
        self._close()
        measured = self._run if self._run.epoch_seconds > 0 else self._early
        counts, seconds = measured.epoch, measured.epoch_seconds
        if not counts.atom_slots or seconds <= 0:
            return
        several = self._ranks > 1
        rate, filler = self._ranks * counts.atoms / seconds, 1.0 - counts.atoms / counts.atom_slots
        pl_module.log("train/atoms_per_second", rate, sync_dist=several)
        pl_module.log("train/filler_fraction", filler, sync_dist=several)

    def state_dict(self) -> dict[str, Any]:
        """All that is finished, as plain numbers."""
        return {
            "run": self._run.state_dict(),
            "early": self._early.state_dict(),
            "totals": list(self._totals),
            "train_seconds": self._seconds,
            "compile_seconds": self._compile_seconds() or 0.0,
            "capture_seconds": self.capture_seconds or 0.0,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue those of a resumed run."""
        self._run.load_state_dict(state_dict["run"])
        self._early.load_state_dict(state_dict["early"])
        self._totals = Counts(*state_dict["totals"])
        self._seconds = float(state_dict["train_seconds"])
        self._compiled = float(state_dict["compile_seconds"])
        self._captured = float(state_dict.get("capture_seconds", 0.0))

    # --- stretches ---

    def _open(self, trainer: pl.Trainer) -> None:
        self._last = self._cut_at = self._read_at = self._clock()
        self._waited = _wait_seconds(trainer)
        self._pieces.open()
        self._energy.begin()

    def _close(self) -> None:
        if not self._pieces.is_open:
            return
        # Between an epoch's last validation and its end no batch runs: that stretch is empty.
        number = self._pieces.close()
        self._settle(wait=True)
        self._read_energy(number, self._clock())

    def _settle(self, *, wait: bool = False) -> None:
        """Book the pieces that are done."""
        for piece in self._pieces.finished(wait=wait):
            self._totals = self._totals.plus(piece.counts)
            self._seconds += piece.seconds
            measured = self._measured(piece.last_step)
            if measured is not None:
                measured.add(piece, tells_joules=self._energy.tells)

    def _measured(self, step: int) -> Measured | None:
        """Where a step of this process counts, by its number from 1; None: nowhere."""
        if step > self.skip_host_steps:
            return self._run
        return self._early if step > 1 else None

    def _read_energy(self, step: int, now: float) -> None:
        """Book what was drawn up to a step."""
        self._read_at = now
        joules, measured = self._energy.take(), self._measured(step)
        if joules is not None and measured is not None:
            measured.joules = (measured.joules or 0.0) + joules

    def _updates_of(self, trainer: pl.Trainer, batch: Any) -> int:
        """Updates made of a batch that holds several; Lightning takes a while to tell."""
        if not hasattr(batch, "molecules"):
            return 1
        before, self._updates = self._updates, trainer.global_step
        return self._updates - before

    def _note_first_step(self, trainer: pl.Trainer, now: float) -> None:
        waited = _wait_seconds(trainer)
        self._first_steps.append(now - self._last - (waited - self._waited))
        self._last, self._waited = now, waited


def _wait_seconds(trainer: pl.Trainer) -> float:
    return float(getattr(trainer.train_dataloader, "wait_seconds", 0.0))
