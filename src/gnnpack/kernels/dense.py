"""The static form: every pair of slots of a pack, masked.

Shapes depend on the pack shape alone, and only dense operations are used. It is the reference that
tests compare the compact form with, and the form a static-graph compiler can trace.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class DenseNeighbours(NamedTuple):
    """All ordered pairs of slots inside each pack."""

    distance: Tensor  # (P, N, N) Å; [p, i, j] from source j to target i; 0 where no neighbour
    mask: Tensor  # (P, N, N), 1.0 where i and j are neighbours, else 0.0


def dense_neighbours(
    pos: Tensor, molecule_slot: Tensor, atom_mask: Tensor, cutoff: float
) -> DenseNeighbours:
    """Distances and neighbour mask of all slots; arguments as for `find_pairs`."""
    square, near = squared_distances(pos, molecule_slot, atom_mask, cutoff)
    return DenseNeighbours(distances(square, near), near.to(pos.dtype))


def squared_distances(
    pos: Tensor, molecule_slot: Tensor, atom_mask: Tensor, cutoff: float
) -> tuple[Tensor, Tensor]:
    """Squared distances of all slots (P, N, N), Å^2, and whether they are neighbours, bool."""
    difference = pos[:, :, None, :] - pos[:, None, :, :]
    same = molecule_slot[:, :, None] == molecule_slot[:, None, :]
    real = atom_mask[:, :, None] & atom_mask[:, None, :]
    slot = torch.arange(pos.shape[1], device=pos.device)
    square = difference.square().sum(-1)
    near = same & real & (slot[:, None] != slot) & (square < cutoff * cutoff)
    return square, near


def distances(square: Tensor, near: Tensor) -> Tensor:
    """Roots of squared distances, and 0 where no neighbour is; any shape."""
    # Masked before the root, whose slope at 0 (filler, atoms that coincide) is infinite.
    apart = near & (square > 0)
    return torch.where(apart, square, torch.ones_like(square)).sqrt() * apart


def dense_convolution(features: Tensor, filters: Tensor, weight: Tensor) -> Tensor:
    """out_i = sum over j of features_j * filters_ij * weight_ij, (P, N, F).

    Args:
        features: (P, N, F).
        filters: (P, N, N, F).
        weight: (P, N, N), cutoff function times neighbour mask.
    """
    return (features[:, None, :, :] * filters * weight[..., None]).sum(2)
