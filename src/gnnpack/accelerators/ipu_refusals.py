"""What an IPU cannot do right, said before it starts."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.trainer.states import TrainerFn

from gnnpack.accelerators.ipu_settings import IPUSettings
from gnnpack.batching import PackLoader


def gradient_norm(trainer: pl.Trainer, settings: IPUSettings) -> float | None:
    """The norm gradients are clipped to on the IPU: asked for here or by the Trainer.

    Raises:
        ValueError: Trainer settings and callbacks that an IPU has no place for.
    """
    if trainer.state.fn != TrainerFn.FITTING:
        return settings.max_grad_norm
    if trainer.accumulate_grad_batches != 1:
        count = trainer.accumulate_grad_batches
        raise ValueError(
            f"trainer.accumulate_grad_batches is {count}, but an IPU accumulates by itself. Set "
            f"it to 1 and accelerator.gradient_accumulation={count}."
        )
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if hasattr(callback, "begun"):
            raise ValueError(
                "callbacks=ema averages the weights of every update, and those are on the IPU. "
                "Leave it out, or use accelerator=cpu or gpu."
            )
    clip = trainer.gradient_clip_val
    if clip is None or clip == 0:
        return settings.max_grad_norm
    if str(trainer.gradient_clip_algorithm or "norm") not in ("norm", "GradClipAlgorithmType.NORM"):
        raise ValueError(
            f"trainer.gradient_clip_algorithm is {trainer.gradient_clip_algorithm}; an IPU clips "
            "the norm alone. Leave it out."
        )
    if settings.max_grad_norm not in (None, clip):
        raise ValueError(
            f"trainer.gradient_clip_val is {clip}, but accelerator.max_grad_norm is "
            f"{settings.max_grad_norm}. They are the same thing on an IPU; set one."
        )
    return float(clip)


def refuse_offline(trainer: pl.Trainer, settings: IPUSettings) -> None:
    """ValueError where connection=never would have to run a program."""
    if settings.connection != "never":
        return
    if trainer.state.fn != TrainerFn.FITTING:
        raise ValueError(
            "accelerator.connection is 'never', which compiles for training and prediction and "
            "runs nothing. Use connection=always where there is an IPU."
        )
    if trainer.num_sanity_val_steps:
        raise ValueError(
            f"trainer.num_sanity_val_steps is {trainer.num_sanity_val_steps}, but with "
            "accelerator.connection=never nothing is run. Set it to 0."
        )


def refuse_unmade_updates(trainer: pl.Trainer, loader: PackLoader) -> None:
    """ValueError for trainer.max_steps inside a call: a program makes all of its updates."""
    most, each = trainer.max_steps, loader.device_iterations or 1
    if most < 0:
        return
    per_epoch = loader.updates_of(int(trainer.num_training_batches))
    inside = most % per_epoch % each if per_epoch else most % each
    if inside:
        raise ValueError(
            f"trainer.max_steps is {most}, inside a call of {each} updates, which an IPU makes "
            f"whole. Use {most - inside} or {most - inside + each}, or another "
            "accelerator.device_iterations."
        )
