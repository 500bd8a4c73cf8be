"""Whole-step execution: one call of the training step makes several complete updates.

Lightning's loop costs about a millisecond a call. Where an update takes less than that on the
device, making ``device_iterations`` of them a call hides it. Here they run one after another from
Python, on any device; `CUDAGraphStrategy` replays them as one graph. Weights, rates, logs and
checkpoints are those of plain Lightning, bit for bit.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Iterator, NamedTuple, Sequence

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor
from torch.optim import Optimizer

from gnnpack.accelerators.refusals import (
    FixedOptions,
    refuse_checkpoints_between_calls,
    refuse_schedulers,
    refuse_trainer,
    warn_of_silent_hooks,
)
from gnnpack.batching import HostStep, PackBatch, PackLoader


class Call(NamedTuple):
    """What a call leaves to be told, maybe later: its losses may still be on their way."""

    losses: Callable[[], list[float]]  # (n,) of its updates; may wait for the device
    rates: Sequence[float]  # (n,) of the first parameter group
    first_update: int
    epoch: int


class WholeStepStrategy(SingleDeviceStrategy):
    """One device; each call of the training step makes ``device_iterations`` complete updates.

    An update is zero_grad, forward under autocast, backward, gradient clipping, optimizer step and
    moving average; one without molecules changes none of them. ``global_step`` counts updates.

    Args:
        device: torch's name of it.
        device_iterations: updates a call, at most those of an epoch; an epoch's last call makes
            those that are left.
        lightning: arguments of `SingleDeviceStrategy`.

    Attributes:
        blocked_seconds: seconds the host has waited for the device; None where the host computes.

    Raises:
        ValueError: fewer than one update a call.
    """

    strategy_name = "whole_step"

    # Calls whose losses the host may leave unread.
    calls_behind = 0

    def __init__(self, device: Any = "cpu", device_iterations: int = 1, **lightning: Any) -> None:
        super().__init__(device=device, **lightning)
        if device_iterations < 1:
            raise ValueError(
                f"accelerator.device_iterations is {device_iterations}; it counts updates a call: "
                "use 1 or more."
            )
        self.device_iterations = device_iterations
        self.blocked_seconds: float | None = None
        self._average: Any = None
        self._fixed: FixedOptions | None = None
        self._num_updates = 0
        self._untold: deque[Call] = deque()

    # --- Lightning's hooks ---

    def setup(self, trainer: pl.Trainer) -> None:
        """Refuse what whole steps cannot do right; nothing of a checkpoint is restored yet."""
        if trainer.state.fn != TrainerFn.FITTING:
            super().setup(trainer)
            return
        refuse_trainer(trainer, self)
        super().setup(trainer)
        refuse_schedulers(self.optimizers, self.lr_scheduler_configs)
        callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
        averages = [callback for callback in callbacks if hasattr(callback, "begun")]
        self._average = averages[0] if averages else None
        self._fixed = None
        self._untold.clear()
        warn_of_silent_hooks(callbacks)

    def on_train_start(self) -> None:
        """Refuse checkpoint intervals that fall inside a call."""
        trainer = self._trainer
        loader = self._loader
        refuse_checkpoints_between_calls(
            trainer.checkpoint_callbacks,
            loader.device_iterations or 1,
            loader.updates_of(int(trainer.num_training_batches)),
        )

    def training_step(self, step: HostStep, batch_idx: int) -> Tensor:
        """Make the updates of ``step``; their mean loss, for display."""
        trainer, module = self._trainer, self._module
        if self._fixed is None:
            self._fixed = FixedOptions(self.optimizers[0])
        self._fixed.check()
        first = trainer.global_step
        self._num_updates = self._updates_left(step)
        losses, rates = self._run(step)
        self._fixed.check()
        told = self._stage(losses)
        self._untold.append(Call(told, rates, first, trainer.current_epoch))
        if len(self._untold) > self.calls_behind:
            module.log_step(self._tell())
        return losses.mean()

    def backward(self, closure_loss: Tensor, *arguments: Any, **options: Any) -> Tensor:
        """Nothing: the step has done it."""
        return closure_loss

    def optimizer_step(
        self, optimizer: Optimizer, closure: Callable[[], Any], *arguments: Any, **options: Any
    ) -> Any:
        """Run the step, and count all its updates; Lightning counts one."""
        # Not the precision plugin's step: it would clip and step once more.
        loss = closure()
        more = self._num_updates - 1
        loop = self._trainer.fit_loop.epoch_loop
        progress = loop.automatic_optimization.optim_progress.optimizer.step
        for tracker in (progress.total, progress.current):
            tracker.ready += more
            tracker.completed += more
        # The loggers' x axis.
        loop._batches_that_stepped += more
        return loss

    def on_validation_start(self) -> None:
        """Tell what is still untold of the updates before."""
        self._tell_all()

    def on_train_end(self) -> None:
        """Tell what is still untold."""
        self._tell_all()

    def save_checkpoint(self, *arguments: Any, **options: Any) -> None:
        """Write a checkpoint, but none of weights whose loss was not finite."""
        self._tell_all()
        super().save_checkpoint(*arguments, **options)

    # --- the updates ---

    def _run(self, step: HostStep) -> tuple[Tensor, list[float]]:
        """Losses (n,) on the device and first rates of this call's updates."""
        return self._run_from_python(step)

    def _run_from_python(self, step: HostStep) -> tuple[Tensor, list[float]]:
        losses, first_rates = [], []
        for update, rates in zip(range(self._num_updates), self._rates()):
            batch = step.take(update)
            # A step on gradients of 0 would still move Adam and the average.
            made = self._update(batch) if step.molecules[update] else self._evaluate(batch)
            losses.append(made)
            first_rates.append(rates[0])
        return torch.stack(losses), first_rates

    def _update(self, batch: PackBatch, rates: Sequence[Tensor] | None = None) -> Tensor:
        """One complete update; its loss, 0-d.

        Args:
            rates: learning rate of each parameter group as 0-d tensors; None = the groups' own.
        """
        trainer, module, optimizer = self._trainer, self._module, self.optimizers[0]
        optimizer.zero_grad(set_to_none=True)
        loss = self._forward(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        module.configure_gradient_clipping(
            optimizer,
            gradient_clip_val=trainer.gradient_clip_val,
            gradient_clip_algorithm=trainer.gradient_clip_algorithm,
        )
        # The groups keep numbers: schedulers, monitors and checkpoints read them.
        kept = [group["lr"] for group in optimizer.param_groups]
        _set_rates(optimizer, kept if rates is None else rates)
        optimizer.step()
        _set_rates(optimizer, kept)
        if self._average is not None:
            self._average.add(module)
        return loss.detach()

    def _forward(self, batch: PackBatch) -> Tensor:
        with self.precision_plugin.train_step_context():
            loss: Tensor = self._module.step(self.precision_plugin.convert_input(batch))["loss"]
        return loss

    @torch.no_grad()
    def _evaluate(self, batch: PackBatch) -> Tensor:
        return self._forward(batch)

    def _rates(self) -> Iterator[list[float]]:
        """Learning rates (by group) of each update of this call.

        Schedulers that count updates are stepped between them; behind the last, Lightning does it.
        """
        for update in range(self._num_updates):
            for config in self.lr_scheduler_configs if update else ():
                if config.interval == "step":
                    self._module.lr_scheduler_step(config.scheduler, None)
            yield [float(group["lr"]) for group in self.optimizers[0].param_groups]

    def _updates_left(self, step: HostStep) -> int:
        """Updates of ``step`` that trainer.max_steps still allows."""
        trainer = self._trainer
        if trainer.max_steps < 0:
            return step.num_updates
        return min(step.num_updates, int(trainer.max_steps - trainer.global_step))

    # --- telling ---

    def _stage(self, losses: Tensor) -> Callable[[], list[float]]:
        """Losses as numbers, when they are asked for."""
        return losses.tolist

    def _tell(self) -> float:
        """Log the oldest call that is untold; its last loss."""
        call = self._untold.popleft()
        losses = call.losses()
        self._module.log_updates(losses, call.rates, call.first_update, call.epoch)
        return losses[-1]

    def _tell_all(self) -> None:
        while self._untold:
            self._tell()

    # --- what Lightning knows ---

    @property
    def _module(self) -> Any:
        assert self.lightning_module is not None, "Lightning connects a module before it trains"
        return self.lightning_module

    @property
    def _trainer(self) -> Any:
        return self._module.trainer

    @property
    def _loader(self) -> PackLoader:
        loader = self._trainer.train_dataloader
        assert isinstance(loader, PackLoader), "whole steps are fed by our loader"
        return loader


def _set_rates(optimizer: Optimizer, rates: Sequence[Any]) -> None:
    for group, rate in zip(optimizer.param_groups, rates):
        group["lr"] = rate
