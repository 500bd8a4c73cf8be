"""Callbacks that need a word of their own."""

from __future__ import annotations

from importlib.metadata import version

import pytorch_lightning as pl


def ema(decay: float = 0.999) -> pl.Callback:
    """Exponential moving average of the weights, by Lightning's own callback (2.6 and newer).

    Validation, test and ``best.ckpt`` use the averaged weights; training goes on from its own.

    Raises:
        ValueError: decay outside (0, 1), or a Lightning without the callback.
    """
    if not 0 < decay < 1:
        raise ValueError(f"callbacks.ema.decay is {decay}; it must lie between 0 and 1.")
    try:
        from pytorch_lightning.callbacks import EMAWeightAveraging
    except ImportError as error:
        raise ValueError(
            f"callbacks=ema needs pytorch-lightning 2.6 or newer; this is "
            f"{version('pytorch-lightning')}. "
            "Upgrade it, or train without averaging: callbacks=default."
        ) from error
    average: pl.Callback = EMAWeightAveraging(decay=decay)
    return average
