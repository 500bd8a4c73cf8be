"""From one number an atom to one number a molecule."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gnnpack.batching import PackBatch
from gnnpack.kernels.cuda import sum_molecules
from gnnpack.models.layers import at_least_single


class Readout(nn.Module):
    """Scale atom values to physical units and sum or average them over each molecule.

    Args:
        kind: ``sum`` for extensive targets, ``mean`` for intensive ones.
        mean: mean of the training targets, per atom for ``sum``; the target's unit.
        std: their standard deviation; the target's unit.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, kind: str = "sum", mean: float = 0.0, std: float = 1.0) -> None:
        super().__init__()
        if kind not in ("sum", "mean"):
            raise ValueError(f"readout is {kind!r}; use 'sum' (extensive) or 'mean' (intensive).")
        self.kind = kind
        self.register_buffer("mean", torch.tensor(float(mean)))
        self.register_buffer("std", torch.tensor(float(std)))

    def forward(self, atom_values: Tensor, batch: PackBatch, *, in_order: bool = False) -> Tensor:
        """Atom values (P, N) -> molecule values (P, G); 0 where no molecule is.

        Args:
            in_order: sum by the CUDA kernel, always in one order; float32 alone. Otherwise by
                scatter_add, which on a GPU adds in any order.
        """
        # Half precision, as autocast gives it, resolves 0.5 eV at 100 eV: too coarse for a sum.
        wide = at_least_single(atom_values.dtype)
        scaled = atom_values.to(wide) * self.std.to(wide) + self.mean.to(wide)
        total = (_sum_in_order if in_order else _sum)(scaled, batch)
        return total if self.kind == "sum" else total / batch.num_atoms.to(total.dtype).clamp(min=1)

    def extra_repr(self) -> str:
        return f"kind={self.kind}, mean={self.mean.item():.4g}, std={self.std.item():.4g}"


def _sum(values: Tensor, batch: PackBatch) -> Tensor:
    """Reference."""
    real = torch.where(batch.atom_mask, values, torch.zeros_like(values))
    total = real.new_zeros(batch.molecule_mask.shape)
    return total.scatter_add(1, batch.molecule_slot, real)


def _sum_in_order(values: Tensor, batch: PackBatch) -> Tensor:
    num_molecule_slots = batch.molecule_mask.shape[1]
    return sum_molecules(values, batch.molecule_slot, batch.atom_mask, num_molecule_slots)
