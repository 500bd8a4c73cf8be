"""What whole-step execution cannot do right, said before it starts."""

from __future__ import annotations

import logging
from typing import Any, Sequence

import pytorch_lightning as pl
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch.optim import Optimizer

log = logging.getLogger(__name__)

PLAIN = "accelerator.strategy=single_device (one update a call)"

# Updates are made inside the training step; Lightning calls these not at all, or behind it.
SILENT_HOOKS = (
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_before_zero_grad",
)


def refuse_trainer(trainer: pl.Trainer, strategy: Any) -> None:
    """ValueError for Trainer settings that whole updates have no place for."""
    if trainer.accumulate_grad_batches != 1:
        raise ValueError(
            f"trainer.accumulate_grad_batches is {trainer.accumulate_grad_batches}, but whole-step "
            "execution makes complete updates: a GPU holds a batch of any batch_size by itself. "
            f"Set it to 1, or use {PLAIN}."
        )
    if trainer.world_size != 1:
        raise ValueError(
            f"Whole-step execution is of one device, not {trainer.world_size}. Use "
            "accelerator.strategy=ddp."
        )
    if getattr(strategy.precision_plugin, "scaler", None) is not None:
        raise ValueError(
            "accelerator.precision=16-mixed scales its gradients by reading the device after each "
            f"update. Use bf16-mixed or 32-true, or {PLAIN}."
        )


def refuse_schedulers(optimizers: Sequence[Optimizer], configs: Sequence[Any]) -> None:
    """ValueError for several optimizers, and schedules that do not count updates one by one."""
    if len(optimizers) != 1:
        raise ValueError(
            f"Whole-step execution needs one optimizer, not {len(optimizers)}. Give one all "
            f"parameters (as groups), or use {PLAIN}."
        )
    for config in configs:
        if config.interval == "step" and (config.frequency != 1 or config.reduce_on_plateau):
            raise ValueError(
                f"The schedule {type(config.scheduler).__name__} is to step every "
                f"{config.frequency} host steps, which make several updates each. Let it step "
                f"every update or every epoch, or use {PLAIN}."
            )


def refuse_checkpoints_between_calls(
    keepers: Sequence[Any], updates_per_call: int, updates_per_epoch: int
) -> None:
    """ValueError for checkpoints every n updates where calls end at other numbers of updates."""
    for keeper in keepers:
        every = getattr(keeper, "_every_n_train_steps", 0)
        ends_of_calls = every % updates_per_call == 0 and (
            updates_per_epoch % updates_per_call == 0 or every % updates_per_epoch == 0
        )
        if every and not ends_of_calls:
            raise ValueError(
                f"A checkpoint every every_n_train_steps={every} updates would be missed: a call "
                f"makes {updates_per_call} of an epoch's {updates_per_epoch} updates. Choose "
                "accelerator.device_iterations so that it divides both, or set "
                "trainer.val_check_interval, which counts calls."
            )


def warn_of_silent_hooks(callbacks: Sequence[pl.Callback]) -> None:
    """Name the callbacks that wait for hooks that are not called."""
    for callback in callbacks:
        silent = [hook for hook in SILENT_HOOKS if is_overridden(hook, callback, pl.Callback)]
        if silent:
            log.warning(
                "The callback %s uses %s, which whole-step execution does not call. Use %s if "
                "you need it.",
                type(callback).__name__,
                " and ".join(silent),
                PLAIN,
            )


class FixedOptions:
    """The optimizer's options but for the rate: a captured graph has them as constants."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._kept = self._now()

    def check(self) -> None:
        """ValueError when a scheduler has changed one."""
        now = self._now()
        if now == self._kept:
            return
        changed = sorted(
            {
                key
                for before, after in zip(self._kept, now)
                for key in after
                if before.get(key) != after[key]
            }
        )
        raise ValueError(
            f"The learning-rate schedule changes {', '.join(changed)} as well, which whole-step "
            "execution holds fixed. Let it change the rate alone (OneCycleLR: "
            f"cycle_momentum=False), or use {PLAIN}."
        )

    def _now(self) -> list[dict[str, Any]]:
        return [
            {key: value for key, value in group.items() if key not in ("params", "lr")}
            for group in self._optimizer.param_groups
        ]
