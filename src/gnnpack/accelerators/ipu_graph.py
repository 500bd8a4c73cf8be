"""What an IPU traces: network and loss as one plain module."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gnnpack.batching import PackBatch
from gnnpack.kernels import static_graph


class PackGraph(nn.Module):
    """Loss of a micro-batch in training, predictions (P, G) in evaluation.

    Not the LightningModule: PopTorch changes the class of all that it wraps, metrics included.

    Args:
        num_micro_batches: losses that are averaged to one update's.
        poptorch: marks the loss, and the inputs and outputs that overlap.
        overlap: move inputs and outputs while the updates run.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: nn.Module,
        num_micro_batches: int,
        poptorch: Any,
        overlap: bool = False,
    ) -> None:
        super().__init__()
        self.model, self.objective = model, objective
        self.num_micro_batches = num_micro_batches
        self._poptorch = poptorch
        self._overlap = overlap

    def forward(
        self,
        z: Tensor,
        pos: Tensor,
        molecule_slot: Tensor,
        atom_mask: Tensor,
        molecule_mask: Tensor,
        target: Tensor,
        num_atoms: Tensor,
        step_molecules: Tensor,
    ) -> Tensor:
        """One micro-batch's fields of a `PackBatch`, in their order."""
        fields = (
            z, pos, molecule_slot, atom_mask, molecule_mask, target, num_atoms, step_molecules
        )  # fmt: skip
        overlaps = self._overlap and self.training
        batch = PackBatch(
            *(self._overlapped(field, "input") if overlaps else field for field in fields)
        )
        with static_graph():
            prediction: Tensor = self.model(batch)
            if not self.training:
                return prediction
            loss = self.objective(prediction, batch, self.num_micro_batches)
        loss = self._poptorch.identity_loss(loss, reduction="none")
        return self._overlapped(loss, "output") if overlaps else loss

    def _overlapped(self, tensor: Tensor, side: str) -> Tensor:
        mark = getattr(self._poptorch, f"set_overlap_for_{side}")
        marked: Tensor = mark(tensor, self._poptorch.OverlapMode.OverlapDeviceIterationLoop)
        return marked


def use_half_precision(model: nn.Module) -> None:
    """Parameters to float16, in place; buffers (the targets' scale, the centres) stay as exact."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.data = parameter.data.half()
