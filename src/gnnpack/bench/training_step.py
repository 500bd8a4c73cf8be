"""One training step of one contender, and the proof that all compute the same function."""

from __future__ import annotations

from typing import Any, Callable, Mapping

import torch
from torch import Tensor, nn

from gnnpack.training.fused import fuse_on_cpu

TOLERANCE = 1e-4
"""Largest relative difference of float32 energies that still counts as the same function."""


class TrainingStep:
    """One update of one model on one batch: forward, backward, AdamW.

    Args:
        predict: energies of the molecules in the order of the source, (n,).
        loss: mean absolute error of the batch, 0-d.
    """

    def __init__(
        self,
        label: str,
        model: nn.Module,
        predict: Callable[[], Tensor],
        loss: Callable[[], Tensor],
        lr: float,
        **facts: Any,
    ) -> None:
        self.label, self.predict, self.loss = label, predict, loss
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
        # As a run has it.
        fuse_on_cpu(self.optimizer)
        self.losses: list[float] = []
        self._facts = facts

    def __call__(self) -> None:
        self.optimizer.zero_grad()
        loss = self.loss()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.losses.append(loss.item())

    def facts(self) -> dict[str, Any]:
        """Losses seen by the first and by the last of the updates made so far."""
        first, last = self.losses[0], self.losses[-1]
        return {
            "updates": len(self.losses),
            "first_loss": first,
            "last_loss": last,
            "loss_falls": last < first,
            **self._facts,
        }


def check_same_function(energies: Mapping[str, Tensor], tolerance: float = TOLERANCE) -> float:
    """Largest difference between any row's energies (n,) and the first's, over the largest energy.

    ValueError when it is above ``tolerance`` or not a number.
    """
    (first, expected), *others = energies.items()
    largest = 0.0
    for name, found in others:
        difference = float((found - expected).abs().max() / expected.abs().max())
        # Written so that NaN is refused too.
        if not difference <= tolerance:
            raise ValueError(
                f"Energies of the row {name} differ from those of {first} by {difference:.1e} "
                f"relative, more than {tolerance:.0e}: they do not compute the same function, so "
                "nothing was timed. Check the versions of torch and torch-geometric, and report it."
            )
        largest = max(largest, difference)
    return largest
