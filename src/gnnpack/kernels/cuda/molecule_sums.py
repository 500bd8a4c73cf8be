"""Sums over the atoms of each molecule, in a fixed order."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gnnpack.kernels.cuda.launch import power_of_two, programs


def sum_molecules(
    values: Tensor, molecule_slot: Tensor, atom_mask: Tensor, num_molecule_slots: int
) -> Tensor:
    """Sum per molecule slot, (P, G) float32; 0 in slots without a molecule.

    Args:
        values: (P, N), one number an atom; anything in filler.
        molecule_slot: (P, N) int64 in [0, G).
        atom_mask: (P, N) bool, True = real.
        num_molecule_slots: G.

    index_add would add in any order on a GPU. Differentiable once.
    """
    out: Tensor = _MoleculeSums.apply(  # type: ignore[no-untyped-call]
        values, molecule_slot, atom_mask, num_molecule_slots
    )
    return out


class _MoleculeSums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values: Tensor, molecule_slot: Tensor, atom_mask: Tensor, num_molecule_slots: int
    ) -> Tensor:
        from gnnpack.kernels.cuda.sum_kernels import sum_slots

        ctx.save_for_backward(molecule_slot, atom_mask)
        ctx.dtype = values.dtype
        num_packs, slots_per_pack = values.shape
        out = torch.empty(num_packs, num_molecule_slots, device=values.device)
        # 16 molecules x 64 slots a step: 8 numbers a thread of four warps.
        tile = min(power_of_two(num_molecule_slots), 16)
        sum_slots[(num_packs, programs(num_molecule_slots, tile))](
            values.contiguous(),
            molecule_slot.contiguous(),
            atom_mask.contiguous(),
            out,
            SLOTS=slots_per_pack,
            MOLECULES=num_molecule_slots,
            SLOT_TILE=min(power_of_two(slots_per_pack), 64),
            MOLECULE_TILE=tile,
            num_warps=1,
        )
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        molecule_slot, atom_mask = ctx.saved_tensors
        return grad.gather(1, molecule_slot).mul(atom_mask).to(ctx.dtype), None, None, None
