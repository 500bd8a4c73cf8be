"""Callbacks that need a word of their own."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import pytorch_lightning as pl


def ema(decay: float = 0.999) -> pl.Callback:
    """Exponential moving average of the weights over updates (Lightning 2.6 and newer).

    Validation, test and ``best.ckpt`` use the averaged weights; training goes on from its own. See
    `WeightAverage`.

    Raises:
        ValueError: decay outside (0, 1), or a Lightning without the callback.
    """
    if not 0 < decay < 1:
        raise ValueError(f"callbacks.ema.decay is {decay}; it must lie between 0 and 1.")
    try:
        from gnnpack.training.weight_average import WeightAverage
    except ImportError as error:
        raise ValueError(
            f"callbacks=ema needs pytorch-lightning 2.6 or newer; this is "
            f"{version('pytorch-lightning')}. "
            "Upgrade it, or train without averaging: callbacks=default."
        ) from error
    return WeightAverage(decay)


class ValidateAtTheEnd(pl.Callback):
    """Let no run end with updates that were neither validated nor checkpointed.

    Lightning ends without a validation where `max_steps` falls inside an epoch, or the last epoch
    is none of `check_val_every_n_epoch`.
    """

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make the last epoch one that is validated."""
        if trainer.max_epochs is not None and trainer.current_epoch == trainer.max_epochs - 1:
            trainer.check_val_every_n_epoch = 1

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Stop at the last update by the flag, after which Lightning validates."""
        if trainer.max_steps >= 0 and trainer.global_step >= trainer.max_steps:
            trainer.should_stop = True
            trainer.check_val_every_n_epoch = 1
