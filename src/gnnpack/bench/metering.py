"""What the meters of a run cost it: the same short training with and without them, in turns."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch

from gnnpack import accelerators
from gnnpack.bench.data import BenchData
from gnnpack.bench.epoch_updates import packs_of, training_plan
from gnnpack.bench.models import make_model
from gnnpack.bench.section import Row, Section
from gnnpack.bench.settings import OverviewSettings
from gnnpack.bench.timing import in_turns, spread
from gnnpack.objective import MAE
from gnnpack.packing import PackPlan
from gnnpack.run.meters import Meters
from gnnpack.tracking import MetricsCSV
from gnnpack.training import MoleculeRegression, PackedDataModule

WITHOUT, WITH = "without", "with"
SKIPPED = 10
LEAST_UPDATES, MOST_UPDATES = 20, 200
# Hooks of host steps and of epochs; there is no validation.
HOOKS = (
    "on_train_batch_start",
    "on_train_batch_end",
    "on_train_epoch_start",
    "on_train_epoch_end",
)


class Short(NamedTuple):
    """A training that counts so many updates behind the first ones."""

    data: BenchData
    plan: PackPlan
    batch_size: int
    updates: int
    settings: OverviewSettings

    @property
    def updates_per_epoch(self) -> int:
        """Of the plan."""
        return -(-self.plan.num_packs // packs_of(self.plan, self.batch_size))


class StopWatch(pl.Callback):
    """Seconds from the end of host step `SKIPPED` to that of the last one; other hooks inside."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._begun: float | None = None

    def on_train_batch_end(self, trainer: pl.Trainer, *arguments: Any) -> None:
        """Look at the clock."""
        now = time.perf_counter()
        if trainer.global_step == SKIPPED:
            self._begun = now
        elif self._begun is not None:
            self.seconds = now - self._begun


def measure_metering(data: BenchData, batch_size: int, settings: OverviewSettings) -> Section:
    """Train with and without what `gnnpack train` measures with, see `run.meters`."""
    plan = training_plan(data, settings.seed)
    wanted = round(settings.run_molecules / batch_size)
    updates = min(MOST_UPDATES, max(LEAST_UPDATES, wanted))
    short = Short(data, plan, batch_size, updates, settings)
    found: dict[str, list[float]] = {WITHOUT: [], WITH: []}
    with tempfile.TemporaryDirectory() as place:
        _train(short, Path(place) / "warm_up", metered=True)
        for turn, name in in_turns(list(found), settings.repeats):
            took, _ = _train(short, Path(place) / f"{name}_{turn}", metered=name == WITH)
            found[name].append(took)
        whole, in_hooks = _train(short, Path(place) / "hooks", metered=True, timed=True)
    seconds = {name: np.array(each) / updates for name, each in found.items()}
    slower = 100.0 * (seconds[WITH] / seconds[WITHOUT] - 1.0)
    facts = {
        WITHOUT: {},
        WITH: {
            "percent_slower": float(np.median(slower)),
            "percent_slower_p10_p90": [float(p) for p in np.percentile(slower, [10, 90])],
            "percent_in_hooks": 100.0 * in_hooks / whole,
            "hook_microseconds": 1e6 * in_hooks / updates,
        },
    }
    molecules = plan.num_molecules / short.updates_per_epoch
    labels = {WITHOUT: "without meters", WITH: "with the meters of every run"}
    rows = [
        Row(
            name=name,
            label=labels[name],
            repeats=settings.repeats,
            calls_per_repeat=updates,
            seconds=spread(seconds[name]),
            molecules_per_second=spread(molecules / seconds[name]),
            times_baseline=spread(seconds[WITHOUT] / seconds[name]),
            facts=facts[name],
        )
        for name in found
    ]
    return Section(
        f"metering_{batch_size}",
        f"What metering costs, batch {batch_size}",
        f"{updates} updates with tabulated filters by Lightning's Trainer, in one process and in "
        "turns, validation and checkpoints left out; time an update. A run is metered always; "
        "without is for this comparison. Percent in hooks is the time inside the meters' own "
        "functions at the start and end of steps and epochs, read from the clock in a further "
        "training: what the ratio shows where the machine is quiet. The goal is below 0.5.",
        rows,
        ("percent_slower", "percent_in_hooks", "hook_microseconds"),
        ("p10-p90", "hook_microseconds"),
        baseline=WITHOUT,
    )


def _train(
    short: Short, folder: Path, *, metered: bool, timed: bool = False
) -> tuple[float, float]:
    """Seconds of the updates that count, and those in the meters' hooks if they are ``timed``."""
    data, settings = short.data, short.settings
    watch, clock = StopWatch(), _HookClock()
    model = make_model(data, settings, filter="tabulated")
    module = MoleculeRegression(model, MAE(), partial(torch.optim.AdamW, lr=settings.lr))
    loaders = PackedDataModule(
        {"train": data.train}, {"train": short.plan}, batch_size=short.batch_size
    )
    with Meters(folder) as meters:
        callbacks = meters.callbacks if metered else []
        for callback in callbacks if timed else ():
            clock.watch(callback)
        trainer = pl.Trainer(
            **accelerators.cpu(num_threads=torch.get_num_threads()),
            max_epochs=-1,
            max_steps=SKIPPED + short.updates,
            limit_val_batches=0,
            callbacks=[*callbacks, watch],
            logger=MetricsCSV(folder),
            log_every_n_steps=min(50, short.updates_per_epoch),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(module, loaders)
    return watch.seconds, clock.seconds


class _HookClock:
    """Seconds in the hooks of callbacks, those of the first host steps left out."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def watch(self, callback: pl.Callback) -> None:
        """Time a callback's hooks."""
        for name in HOOKS:
            setattr(callback, name, self._timed(getattr(callback, name)))

    def _timed(self, hook: Callable[..., None]) -> Callable[..., None]:
        def timed(trainer: pl.Trainer, *arguments: Any) -> None:
            begun = time.perf_counter()
            hook(trainer, *arguments)
            if trainer.global_step > SKIPPED:
                self.seconds += time.perf_counter() - begun

        return timed
