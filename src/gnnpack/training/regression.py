"""A model, an objective and an optimizer as one Lightning module."""

from __future__ import annotations

import math
import time
from typing import Any, Callable, Mapping, Optional, Sequence

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import CatMetric

from gnnpack.batching import PackBatch
from gnnpack.objective import Objective, error_metrics, real_values
from gnnpack.training.blocks import optimizer_over
from gnnpack.training.datamodule import device_iterations, total_updates
from gnnpack.training.fused import fuse_on_cpu

MakeOptimizer = Callable[[Any], torch.optim.Optimizer]
MakeSchedule = Callable[..., Optional[Mapping[str, Any]]]

# Reading a loss from a GPU waits for it; on a CPU every one is read.
READ_LOSS_EVERY = 50
# Seconds after which a progress bar's loss is old.
SHOW_EVERY = 1.0


class MoleculeRegression(pl.LightningModule):
    """Predict one number a molecule; errors are logged in the target's unit.

    Args:
        model: `PackBatch` -> (P, G) in the target's unit.
        make_optimizer: parameters, or groups of them -> optimizer.
        make_schedule: (optimizer, total_updates=...) -> Lightning's scheduler mapping or None.
        record: plain values kept in every checkpoint under ``gnnpack``, so that a checkpoint alone
            tells how to use it.
        body_lr: learning rate of all but the model's head, over the optimizer's. Parameters without
            ``requires_grad`` stay as they are.

    Attributes:
        latest_loss: of the last update that was shown, 0-d, where it was computed; under several
            ranks of this one's molecules. None before the first.
        test_values: after a test, the predictions and targets of all its molecules, (m,) each.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        make_optimizer: MakeOptimizer,
        make_schedule: MakeSchedule | None = None,
        *,
        record: Mapping[str, Any] | None = None,
        body_lr: float = 1.0,
    ) -> None:
        super().__init__()
        self.model = model
        self._body_lr = body_lr
        self.objective = objective
        self._make_optimizer = make_optimizer
        self._make_schedule = make_schedule
        self._record = dict(record or {})
        self.val_metrics = error_metrics("val/")
        self.test_metrics = error_metrics("test/")
        self._test_predicted = CatMetric()
        self._test_true = CatMetric()
        self.test_values: tuple[Tensor, Tensor] | None = None
        self._update_loss = torch.zeros(())
        self.latest_loss: Tensor | None = None
        self._shown = 0.0

    def forward(self, batch: PackBatch) -> Tensor:
        prediction: Tensor = self.model(batch)
        return prediction

    # --- training: one update a call ---

    def step(self, batch: PackBatch, num_micro_batches: int = 1) -> dict[str, Tensor]:
        """Loss of a micro-batch, 0-d, under ``loss``: tensors to tensors and nothing else."""
        return {"loss": self.objective(self.model(batch), batch, num_micro_batches)}

    def training_step(self, batch: PackBatch, batch_idx: int) -> Tensor:
        # Lightning averages over ranks and accumulated batches; the objective divides by the
        # molecules of the whole update.
        averaged = self.trainer.world_size * self.trainer.accumulate_grad_batches
        loss = self.step(batch, averaged)["loss"]
        self._refuse_nan(loss, batch_idx)
        self._update_loss = self._update_loss + loss.detach() / averaged
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Log the update's loss: of all its micro-batches, on all ranks."""
        loss, self._update_loss = self._update_loss, torch.zeros_like(self._update_loss)
        if not self._is_shown():
            return
        self._shown = time.monotonic()
        several = self.trainer.world_size > 1
        # Those who look at it need not ask Lightning, which would wait for the device.
        self.latest_loss = loss * self.trainer.world_size
        self.log("train/loss", loss, prog_bar=True, sync_dist=several, reduce_fx="sum")
        self.log("updates", float(self.trainer.global_step))
        self.log("learning_rate", optimizer.param_groups[0]["lr"])

    def _is_shown(self) -> bool:
        """Whether anyone sees this update's figures: Lightning takes a good while to log them."""
        trainer, update = self.trainer, self.trainer.global_step + 1
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        last = trainer.is_last_batch or trainer.should_stop or update == trainer.max_steps
        # Ranks log together, and their clocks differ.
        waited = trainer.world_size == 1 and time.monotonic() > self._shown + SHOW_EVERY
        return last or waited or (every > 0 and update % every == 0)

    def _refuse_nan(self, loss: Tensor, batch_idx: int) -> None:
        seldom = loss.device.type != "cpu" and batch_idx % READ_LOSS_EVERY
        if not seldom and not bool(torch.isfinite(loss)):
            raise _bad_loss(loss.item(), self.trainer.global_step, self.trainer.current_epoch)

    # --- training: several updates a call, made by the strategy ---

    def log_step(self, loss: float) -> None:
        """Show the latest loss known; called in each training step."""
        # A tensor of the host: Lightning copies a plain number to the device, and waits for all
        # that is queued there.
        self.latest_loss = torch.tensor(loss)
        self.log("train/loss", self.latest_loss, prog_bar=True, logger=False)

    def log_updates(
        self, losses: Sequence[float], rates: Sequence[float], first_update: int, epoch: int
    ) -> None:
        """Write the rows that one update a call would have written.

        Args:
            losses: of consecutive updates.
            rates: their learning rates.
            first_update: number of the first of them in the run, from 0.

        Raises:
            ValueError: a loss is not finite.
        """
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        for update, (loss, rate) in enumerate(zip(losses, rates), first_update):
            if not math.isfinite(loss):
                raise _bad_loss(loss, update, epoch)
            if (update + 1) % every == 0:
                row = {"train/loss": loss, "updates": float(update), "learning_rate": rate}
                for logger in self.trainer.loggers:
                    logger.log_metrics({**row, "epoch": epoch}, step=update)

    def optimizer_zero_grad(
        self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer
    ) -> None:
        """Nothing where the strategy makes the updates: Lightning calls it after them."""
        if device_iterations(self.trainer) is None:
            super().optimizer_zero_grad(epoch, batch_idx, optimizer)

    # --- optimizer ---

    def configure_optimizers(self) -> Any:
        optimizer = optimizer_over(self, self.model, self._make_optimizer, self._body_lr)
        fuse_on_cpu(optimizer)
        if self._make_schedule is None:
            return optimizer
        total = total_updates(self.trainer)
        schedule = self._make_schedule(optimizer, total_updates=total)
        return optimizer if schedule is None else {"optimizer": optimizer, "lr_scheduler": schedule}

    # --- evaluation ---

    def validation_step(self, batch: PackBatch, batch_idx: int) -> None:
        self.add_validation(self.model(batch), batch)

    def add_validation(self, prediction: Tensor, batch: PackBatch) -> None:
        """Count predictions (P, G) in; whoever makes them."""
        self.val_metrics.update(*real_values(prediction, batch))

    def on_validation_epoch_end(self) -> None:
        self._log_evaluation({"updates": float(self.trainer.global_step)})
        self._log_evaluation(self.val_metrics.compute())
        self.val_metrics.reset()

    def test_step(self, batch: PackBatch, batch_idx: int) -> None:
        self.add_test(self.model(batch), batch)

    def add_test(self, prediction: Tensor, batch: PackBatch) -> None:
        """Count predictions (P, G) in, and keep them; whoever makes them."""
        predicted, true = real_values(prediction, batch)
        self.test_metrics.update(predicted, true)
        self._test_predicted.update(predicted)
        self._test_true.update(true)

    def on_test_epoch_end(self) -> None:
        self._log_evaluation(self.test_metrics.compute())
        # compute() gives a number, not a list, for a single molecule.
        predicted, true = (m.compute().reshape(-1) for m in (self._test_predicted, self._test_true))
        self.test_values = predicted.cpu(), true.cpu()
        for metric in (self.test_metrics, self._test_predicted, self._test_true):
            metric.reset()

    def predict_step(self, batch: PackBatch, batch_idx: int) -> Tensor:
        return self.real_predictions(self.model(batch), batch)

    def real_predictions(self, prediction: Tensor, batch: PackBatch) -> Tensor:
        """Those of real molecules, (m,), in the order of the packs."""
        return real_values(prediction, batch)[0]

    def _log_evaluation(self, values: Mapping[str, Any]) -> None:
        # The metrics are of all ranks already; Lightning cannot know and would warn.
        self.log_dict(values, sync_dist=self.trainer.world_size > 1)

    # --- checkpoints ---

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["gnnpack"] = self._record
        # Older torch keeps functions in OneCycleLR's state, which no safe loader would read back.
        for state in checkpoint.get("lr_schedulers", []):
            for key in [key for key, value in state.items() if callable(value)]:
                del state[key]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        trainer = self._trainer
        if trainer is None or not trainer.training:
            return
        self._refuse_ipu_state(checkpoint)
        now = total_updates(trainer)
        for state in checkpoint.get("lr_schedulers", []):
            # OneCycleLR and CosineAnnealingLR run out; restored, they keep the first run's length.
            planned = state.get("total_steps", state.get("T_max"))
            if planned is not None and planned != now:
                raise ValueError(
                    f"The learning rate of this run was planned for {planned} updates, and would "
                    f"now have {now}. Keep trainer.max_epochs and max_steps as they were, or "
                    "start a new run with the length you want."
                )

    def _refuse_ipu_state(self, checkpoint: Mapping[str, Any]) -> None:
        on_ipu = hasattr(self.trainer.strategy, "micro_batches")
        if not on_ipu and any("ipu_optimizer" in s for s in checkpoint.get("optimizer_states", [])):
            raise ValueError(
                "The optimizer state of this checkpoint was made on an IPU, and no other device "
                "can go on with it. Resume with the accelerator it was made on; `gnnpack "
                "evaluate` and `gnnpack predict` take its weights anywhere."
            )


def _bad_loss(loss: float, update: int, epoch: int) -> ValueError:
    return ValueError(
        f"The training loss is {loss} at update {update}, epoch {epoch}. Lower optimizer.lr, set "
        "trainer.gradient_clip_val, or check the targets for outliers."
    )
