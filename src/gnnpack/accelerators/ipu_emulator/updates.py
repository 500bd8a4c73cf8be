"""The update of an IPU: gradients of all micro-batches reduced, clipped, applied to its weights."""

from __future__ import annotations

import math
from typing import Any, Mapping, Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from gnnpack.accelerators.ipu_emulator import optim
from gnnpack.accelerators.ipu_emulator.enums import ReductionType


class DeviceUpdates:
    """An optimizer over the device's weights.

    Moments and sums of gradients are float32, PopTorch's default, also of float16 weights: those
    are widened for an update and rounded after it.

    Args:
        optimizer: the user's.
        device: trained weights on the device by name.
        host: the user's parameters by the same names.
    """

    def __init__(
        self, optimizer: Optimizer, device: Mapping[str, Tensor], host: Mapping[str, Tensor]
    ) -> None:
        self._device = dict(device)
        self._wide = {name: _widened(weight) for name, weight in device.items()}
        self._optimizer = optim.device_optimizer(optimizer, self._wide, host)
        self._attributes = optim.attributes(optimizer)
        self._sums: Sequence[Tensor | None] | None = None

    def set_attributes(self, attributes: dict[str, Any]) -> None:
        """Go on with other hyper-parameters.

        Raises:
            Error: a change of what was compiled in.
        """
        if attributes != self._attributes:
            optim.check_replacement(self._attributes, attributes)
            optim.load_attributes(self._optimizer, attributes)
            self._attributes = attributes

    def add(self, loss: Tensor) -> None:
        """Add the gradients of one micro-batch, in the order they come.

        Args:
            loss: any shape; its gradient is that of the sum. It is scaled as the optimizer says.
        """
        parameters = list(self._device.values())
        if not parameters or not loss.requires_grad:
            return
        gradients = torch.autograd.grad(
            loss,
            parameters,
            grad_outputs=torch.full_like(loss, self._loss_scaling),
            allow_unused=True,
        )
        wide = [None if more is None else more.float() for more in gradients]
        if self._sums is None:
            self._sums = wide
        else:
            self._sums = [_add(total, more) for total, more in zip(self._sums, wide)]

    @torch.no_grad()
    def apply(self, reduction: ReductionType, num_micro_batches: int) -> None:
        """Make the update: a mean is divided once, after all are summed; then clip; then step."""
        if self._sums is None:
            return
        divisor = num_micro_batches if reduction == ReductionType.Mean else 1
        scale = divisor * self._loss_scaling
        for parameter, weight, total in zip(self._wide.values(), self._device.values(), self._sums):
            if parameter is not weight:
                parameter.copy_(weight)
            parameter.grad = total if total is None or scale == 1 else total / scale
        self._sums = None
        self._clip(float(self._attributes["max_grad_norm"]))
        self._optimizer.step()
        for parameter, weight in zip(self._wide.values(), self._device.values()):
            if parameter is not weight:
                weight.copy_(parameter)
            parameter.grad = None

    def _clip(self, max_norm: float) -> None:
        """Shrink the gradients to a global norm: by max_norm / max(norm, max_norm), as PopART."""
        if math.isinf(max_norm):
            return
        gradients = [p.grad for p in self._wide.values() if p.grad is not None]
        norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
        for gradient in gradients:
            gradient.mul_(max_norm / norm.clamp_min(max_norm))

    def state(self) -> dict[str, Any]:
        """Moments and groups, copied: `optim.device_state`."""
        return optim.device_state(self._optimizer, self._wide)

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`, bit for bit."""
        optim.load_device_state(self._optimizer, self._wide, state)

    @property
    def _loss_scaling(self) -> float:
        value, _ = self._attributes["loss_scaling"]
        return float(value)


def _widened(weight: Tensor) -> Tensor:
    """The weight itself, or a float32 copy of a narrower one."""
    if weight.dtype == torch.float32:
        return weight
    return weight.detach().float().requires_grad_()


def _add(total: Tensor | None, more: Tensor | None) -> Tensor | None:
    if total is None or more is None:
        return more if total is None else total
    return total + more
