"""Losses over the real molecules of a batch, normalised so that packing changes no gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from gnnpack.batching import PackBatch

WEIGHTINGS = ("molecule", "micro_batch_mean")


class Objective(nn.Module, ABC):
    """Mean error over real molecules; subclasses say what one molecule's error costs.

    Args:
        weighting: ``molecule``: each molecule of an update counts the same, however it is packed
            and over however many micro-batches the update is spread. ``micro_batch_mean``: the
            mean inside each micro-batch, as arXiv 2211.13853 trains; there a molecule's weight
            depends on who it is packed with.
    """

    def __init__(self, weighting: str = "molecule") -> None:
        super().__init__()
        if weighting not in WEIGHTINGS:
            raise ValueError(
                f"objective.weighting is {weighting!r}; choose one of {', '.join(WEIGHTINGS)}."
            )
        self.weighting = weighting

    def forward(self, prediction: Tensor, batch: PackBatch, num_micro_batches: int = 1) -> Tensor:
        """Loss of one micro-batch, 0-d.

        Args:
            prediction: (P, G), physical units.
            num_micro_batches: how many losses the executor averages to one update's loss.
        """
        difference = prediction - batch.target.to(prediction.dtype)
        # Masked before anything nonlinear: filler may hold NaN, and 0 x NaN would reach gradients.
        difference = torch.where(batch.molecule_mask, difference, torch.zeros_like(difference))
        cost = self.cost(difference)
        if self.weighting == "micro_batch_mean":
            return cost.sum() / batch.molecule_mask.sum().to(cost.dtype).clamp(min=1)
        per_pack = cost.sum(1) / batch.step_molecules.to(cost.dtype)
        return num_micro_batches * per_pack.sum()

    @abstractmethod
    def cost(self, difference: Tensor) -> Tensor:
        """What a difference costs, elementwise; 0 at 0."""


class MAE(Objective):
    """Mean absolute error, in the target's unit."""

    def cost(self, difference: Tensor) -> Tensor:
        return difference.abs()


class MSE(Objective):
    """Mean squared error, in the target's unit squared."""

    def cost(self, difference: Tensor) -> Tensor:
        return difference.square()


class Huber(Objective):
    """Squared below ``delta``, linear above (Huber 1964), in the target's unit squared.

    Args:
        delta: the target's unit.
    """

    def __init__(self, delta: float = 0.1, weighting: str = "molecule") -> None:
        super().__init__(weighting)
        if not delta > 0:
            raise ValueError(f"objective.delta is {delta}; it must be above 0.")
        self.delta = delta

    def cost(self, difference: Tensor) -> Tensor:
        size = difference.abs()
        linear = self.delta * (size - 0.5 * self.delta)
        return torch.where(size <= self.delta, 0.5 * difference.square(), linear)
