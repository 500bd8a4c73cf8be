"""Runs of a small SchNet on emulated IPUs and on a CPU, without Hydra; 4 updates an epoch."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from tests.conftest import make_source

from gnnpack.accelerators import IPUSettings, IPUStrategy, WholeStepStrategy
from gnnpack.accelerators.poptorch_door import load_poptorch
from gnnpack.models import Readout, SchNet
from gnnpack.objective import MAE
from gnnpack.packing import PackShape, random_exact
from gnnpack.tracking import MetricsCSV, ThroughputMeter
from gnnpack.training import MoleculeRegression, PackedDataModule, ValidateAtTheEnd, constant

ADAMW = partial(torch.optim.AdamW, lr=5e-3, betas=(0.9, 0.99))
TRAINER = ("max_epochs", "max_steps", "gradient_clip_val", "accumulate_grad_batches")
QUIET = {"enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}


class Losses(pl.Callback):
    """The loss of every update, in order, as the run's own rows have them."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.rates: list[float] = []

    def setup(self, trainer, pl_module, stage):
        kept = pl_module.log_updates

        def log_updates(losses, rates, first_update, epoch):
            if first_update == len(self.values):
                self.values += losses
                self.rates += rates
            kept(losses, rates, first_update, epoch)

        pl_module.log_updates = log_updates


def make_data(batch_size: int = 24) -> PackedDataModule:
    """27 training packs; 8 of them an update by default, so 4 updates, the last of 3 packs."""
    source = make_source(104)
    parts = {"train": source.rows[:80], "val": source.rows[80:]}
    sources = {part: source._replace(rows=rows) for part, rows in parts.items()}
    plans = {part: random_exact(of.num_atoms, PackShape(21)) for part, of in sources.items()}
    return PackedDataModule(sources, plans, batch_size=batch_size, seed=3)


def make_module(
    *, model=None, optimizer=ADAMW, schedule=constant, neighbours="dense", objective=None
) -> MoleculeRegression:
    pl.seed_everything(1)
    if model is None:
        scale = Readout("sum", 0.1, 1.3)
        model = SchNet(8, 2, 6, 3.0, neighbours=neighbours, num_neighbours=5, readout=scale)
    return MoleculeRegression(model, objective or MAE(), optimizer, schedule)


class Run(NamedTuple):
    """What training leaves."""

    trainer: pl.Trainer
    module: MoleculeRegression
    data: PackedDataModule
    losses: torch.Tensor
    rates: list

    @property
    def updates_per_epoch(self) -> int:
        """Of the training loader."""
        return self.data._train.updates_per_epoch


def train(
    folder, strategy, *, data=None, resume=None, callbacks=(), meter=None, **options: Any
) -> Run:
    """Train; ``options`` are of the Trainer or of `make_module`."""
    settings = {"max_epochs": 2, "log_every_n_steps": 1}
    settings.update({key: options.pop(key) for key in list(options) if key in TRAINER})
    module, data = make_module(**options), make_data() if data is None else data
    losses = Losses()
    path = None if resume is None else str(folder / f"{resume}.ckpt")
    done = int(torch.load(path, weights_only=True)["global_step"]) if path else None
    last = ModelCheckpoint(folder, filename="last", monitor=None, enable_version_counter=False)
    trainer = pl.Trainer(
        devices=1,
        strategy=strategy,
        default_root_dir=folder,
        logger=MetricsCSV(folder, resume_step=done),
        callbacks=[losses, meter or ThroughputMeter(0), ValidateAtTheEnd(), last, *callbacks],
        **QUIET,
        **settings,
    )
    trainer.fit(module, data, ckpt_path=path)
    return Run(trainer, module, data, torch.tensor(losses.values), losses.rates)


def emulated(**settings: Any) -> IPUStrategy:
    """An IPU by the emulator; GNNPACK_TEST_POPTORCH=1 takes what `import poptorch` gives."""
    real = os.environ.get("GNNPACK_TEST_POPTORCH") == "1"
    return IPUStrategy(IPUSettings(**settings), load_poptorch(not real), emulated=not real)


def cpu() -> WholeStepStrategy:
    """A CPU, an update a call, each of which is told."""
    return WholeStepStrategy("cpu", 1)
