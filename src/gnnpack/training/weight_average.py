"""Moving average of the weights; needs Lightning 2.6, so only `ema` imports it."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gnnpack.training.datamodule import device_iterations


class WeightAverage(WeightAveraging):
    """Exponential moving average over updates, also where a call makes several of them.

    Lightning's callback averages after each call. Where the strategy makes whole updates it calls
    `add` after each of them instead, inside its graph; the rest (values exchanged in place around
    validation, checkpoints) is Lightning's. The first update's weights begin the average.

    Args:
        decay: in (0, 1).
    """

    def __init__(self, decay: float) -> None:
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        super().__init__(multi_avg_fn=average)
        self.decay = decay
        self._in_step = False
        self._begun = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Keep the average where and as the weights will be; Lightning converts them later."""
        self._device = trainer.strategy.root_device
        self._in_step = device_iterations(trainer) is not None
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:
            trainer.precision_plugin.convert_module(self._average_model)

    @property
    def begun(self) -> bool:
        """Whether the average holds an update; known without asking the device."""
        return self._begun

    def tensors(self) -> list[Tensor]:
        """The average, and the number of updates in it."""
        assert self._average_model is not None, "there is an average from setup on"
        return [*self._average_model.state_dict(keep_vars=True).values()]

    @torch.no_grad()
    def add(self, module: pl.LightningModule) -> None:
        """Take an update's weights in; launches kernels only, once it has begun."""
        assert self._average_model is not None, "there is an average from setup on"
        kept, new = _tensors(self._average_model.module), _tensors(module)
        real = [torch.is_floating_point(tensor) for tensor in kept]
        for is_real, one, other in zip(real, kept, new):
            if not (is_real and self._begun):
                one.copy_(other)
        if self._begun:
            torch._foreach_lerp_(_where(real, kept), _where(real, new), 1 - self.decay)
        self._begun = True
        self._average_model.n_averaged.add_(1)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """After every call, but for strategies that average inside it."""
        return step_idx is not None and not self._in_step

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Average, or note that the strategy has."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self._latest_update_step = trainer.global_step

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on with the average of a checkpoint."""
        super().on_load_checkpoint(trainer, pl_module, checkpoint)
        if self._average_model is not None:
            self._begun = bool(self._average_model.n_averaged > 0)


def _tensors(module: torch.nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in (*module.parameters(), *module.buffers())]


def _where(chosen: list[bool], tensors: list[Tensor]) -> list[Tensor]:
    return [tensor for take, tensor in zip(chosen, tensors) if take]
