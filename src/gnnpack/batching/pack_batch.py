"""The tensors a model sees."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class PackBatch(NamedTuple):
    """P packs of one shape: N atom slots and G = num_molecules + 1 molecule slots each.

    A molecule's atoms are contiguous slots; molecules come first, filler last. The pack dimension
    leads everywhere, so that replicas and device iterations split dimension 0. Filler is known by
    its mask, never by a value.
    """

    z: Tensor  # (P, N)    int64    atomic number; 0 in filler
    pos: Tensor  # (P, N, 3) float32  Å; finite in filler
    molecule_slot: Tensor  # (P, N)    int64    in [0, G), local to the pack; G-1 is filler's
    atom_mask: Tensor  # (P, N)    bool     True = real atom
    molecule_mask: Tensor  # (P, G)    bool     True = real molecule; False in slot G-1 always
    target: Tensor  # (P, G)    float32  physical units; undefined where molecule_mask is False
    num_atoms: Tensor  # (P, G)    int64    atoms of the molecule; 0 where molecule_mask is False
    step_molecules: Tensor  # (P,)      int64    real molecules of the pack's whole update, >= 1

    def pin(self) -> PackBatch:
        """The same batch in page-locked host memory, from which copies to a GPU overlap work."""
        return PackBatch(*(tensor.pin_memory() for tensor in self))
