"""From one number an atom to one number a molecule."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gnnpack.batching import PackBatch


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

    def forward(self, atom_values: Tensor, batch: PackBatch) -> Tensor:
        """Atom values (P, N) -> molecule values (P, G); 0 where no molecule is."""
        # Half precision, as autocast gives it, resolves 0.5 eV at 100 eV: too coarse for a sum.
        wide = torch.promote_types(atom_values.dtype, torch.float32)
        scaled = atom_values.to(wide) * self.std.to(wide) + self.mean.to(wide)
        real = torch.where(batch.atom_mask, scaled, torch.zeros_like(scaled))
        total = real.new_zeros(batch.molecule_mask.shape)
        total = total.scatter_add(1, batch.molecule_slot, real)
        return total if self.kind == "sum" else total / batch.num_atoms.clamp(min=1)

    def extra_repr(self) -> str:
        return f"kind={self.kind}, mean={self.mean.item():.4g}, std={self.std.item():.4g}"
