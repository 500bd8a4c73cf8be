# mypy: disable-error-code="no-untyped-def,untyped-decorator"
"""Triton kernel of the sums per molecule; import only where Triton is present."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def sum_slots(
    values,
    molecule_slot,
    atom_mask,
    out,
    SLOTS: tl.constexpr,
    MOLECULES: tl.constexpr,
    SLOT_TILE: tl.constexpr,
    MOLECULE_TILE: tl.constexpr,
):
    """out (P, G): one program a pack and a few molecule slots, over the pack's atoms in order."""
    pack = tl.program_id(0)
    molecule = tl.program_id(1) * MOLECULE_TILE + tl.arange(0, MOLECULE_TILE)
    total = tl.zeros((MOLECULE_TILE,), dtype=tl.float32)
    for start in range(0, SLOTS, SLOT_TILE):
        slot = start + tl.arange(0, SLOT_TILE)
        real = tl.load(atom_mask + pack * SLOTS + slot, mask=slot < SLOTS, other=0) != 0
        owner = tl.load(molecule_slot + pack * SLOTS + slot, mask=real, other=-1)
        value = tl.load(values + pack * SLOTS + slot, mask=real, other=0.0).to(tl.float32)
        theirs = owner[None, :] == molecule[:, None]
        total += tl.sum(tl.where(theirs, value[None, :], 0.0), axis=1)
    tl.store(out + pack * MOLECULES + molecule, total, mask=molecule < MOLECULES)
