"""A module of a few lines, batches with real and filler molecules, and a clock that is told."""

from __future__ import annotations

import warnings
from typing import Any, Iterator, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor


class Batch(NamedTuple):
    molecule_mask: Tensor


def batch(real: int, slots: int = 4) -> Batch:
    """Two packs of ``slots`` molecule slots, ``real`` of them real."""
    return Batch((torch.arange(2 * slots) < real).reshape(2, slots))


class Clock:
    """Returns ``now`` and never moves by itself."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Loader:
    """Yields one batch for each number of real molecules; blocks for ``wait`` seconds each time."""

    def __init__(self, real: list[int], clock: Clock, wait: float = 0.0) -> None:
        self.real, self.clock, self.wait = real, clock, wait
        self.wait_seconds = 0.0

    def __len__(self) -> int:
        return len(self.real)

    def __iter__(self) -> Iterator[Batch]:
        for real in self.real:
            self.clock.now += self.wait
            self.wait_seconds += self.wait
            yield batch(real)


class Module(pl.LightningModule):
    """One weight; a training batch takes a second of the clock, a validation batch a hundred."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.latest_loss: Tensor | None = None
        self.clock = clock

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.clock.now += 1.0
        loss = self.weight.square()
        self.latest_loss = loss.detach()
        self.log("train/loss", loss, prog_bar=True, batch_size=1)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.clock.now += 100.0
        self.log("val/mae", self.weight.detach(), batch_size=1)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(
    folder: Any,
    *,
    real: list[int],
    callbacks: list[Any],
    clock: Clock,
    wait: float = 0.0,
    val: bool = True,
    ckpt_path: Any = None,
    **trainer: Any,
) -> pl.Trainer:
    """Train the tiny module; ``trainer`` goes to the Trainer."""
    settings: dict[str, Any] = {
        "max_epochs": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
    }
    settings.update(trainer)
    made = pl.Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        devices=1,
        log_every_n_steps=1,
        enable_model_summary=False,
        num_sanity_val_steps=1,
        callbacks=callbacks,
        **settings,
    )
    train = Loader(real, clock, wait)
    with warnings.catch_warnings():
        # Lightning 2.6 calls what torch 2.13 deprecates.
        warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)
        made.fit(Module(clock), train, Loader([8], clock) if val else None, ckpt_path=ckpt_path)
    return made
