"""Neighbour pairs within a cutoff, inside each molecule of each pack."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gnnpack.kernels.compiled import has_numba


class Pairs(NamedTuple):
    """Undirected pairs of E neighbours; slots are flat over (P, N): pack * N + slot.

    A pair stands for both edges: source ``first`` to target ``second`` and the reverse.
    """

    first: Tensor  # (E,) int32, the smaller slot
    second: Tensor  # (E,) int32
    distance: Tensor  # (E,) Å, differentiable in the positions
    offsets: Tensor  # (P + 1,) int64: pairs of pack p are offsets[p]:offsets[p + 1]


def find_pairs(
    pos: Tensor, molecule_slot: Tensor, atom_mask: Tensor, cutoff: float, *, compiled: bool = True
) -> Pairs:
    """All pairs of one molecule closer than ``cutoff``; none is cut off by number.

    Args:
        pos: (P, N, 3), Å.
        molecule_slot: (P, N) int64; equal slots are one molecule, contiguous.
        atom_mask: (P, N) bool, True = real.
        cutoff: Å.
        compiled: use the numba kernel where it serves (CPU); False is the plain-torch reference.
    """
    serves = pos.device.type == "cpu" and pos.dtype in (torch.float32, torch.float64)
    search = _search_numba if compiled and serves and has_numba() else _search
    first, second, offsets = search(pos.detach(), molecule_slot, atom_mask, cutoff)
    flat = pos.reshape(-1, 3)
    difference = flat.index_select(0, first) - flat.index_select(0, second)
    # vector_norm has gradient 0, not NaN, where two atoms coincide.
    return Pairs(first, second, torch.linalg.vector_norm(difference, dim=1), offsets)


def _search(
    pos: Tensor, molecule_slot: Tensor, atom_mask: Tensor, cutoff: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Reference: every pair of slots of every pack, then a mask; memory P x N x N."""
    num_packs, N = molecule_slot.shape
    x, y, z = pos.unbind(-1)
    square = (x[:, :, None] - x[:, None, :]) ** 2
    square = square + (y[:, :, None] - y[:, None, :]) ** 2
    square = square + (z[:, :, None] - z[:, None, :]) ** 2
    near = (square < cutoff * cutoff) & (molecule_slot[:, :, None] == molecule_slot[:, None, :])
    near &= atom_mask[:, :, None] & atom_mask[:, None, :]
    upper = torch.ones(N, N, dtype=torch.bool, device=pos.device).triu(1)
    pack, first, second = (near & upper).nonzero(as_tuple=True)
    offsets = torch.zeros(num_packs + 1, dtype=torch.int64, device=pos.device)
    offsets[1:] = torch.bincount(pack, minlength=num_packs).cumsum(0)
    return (pack * N + first).int(), (pack * N + second).int(), offsets


def _search_numba(
    pos: Tensor, molecule_slot: Tensor, atom_mask: Tensor, cutoff: float
) -> tuple[Tensor, Tensor, Tensor]:
    from gnnpack.kernels.cpu_pairs import search

    last = torch.iinfo(torch.int32).max
    assert molecule_slot.numel() < last, "a batch's atom slots must be countable in int32"
    return search(pos, molecule_slot, atom_mask, cutoff)
