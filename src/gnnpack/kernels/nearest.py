"""The nearest neighbours of each atom, a fixed number of them: static shapes without N x N filters.

The neighbour rule of arXiv 2211.13853 (28 of them). An atom with more neighbours within the cutoff
loses the farthest; `count_cut` tells how many.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gnnpack.kernels.dense import distances, squared_distances


class NearestNeighbours(NamedTuple):
    """The k nearest neighbours of every slot, k = num_neighbours or N if that is less."""

    source: Tensor  # (P, N, k) int64, slot in the pack; any slot where no neighbour is
    distance: Tensor  # (P, N, k) Å, ascending; 0 where no neighbour is
    mask: Tensor  # (P, N, k), 1.0 where a neighbour is, else 0.0


def nearest_neighbours(
    pos: Tensor, molecule_slot: Tensor, atom_mask: Tensor, cutoff: float, num_neighbours: int
) -> NearestNeighbours:
    """At most ``num_neighbours`` of an atom's neighbours, the nearest; else as `dense_neighbours`.

    Of neighbours at equal distance any may be the one that is cut.
    """
    square, near = squared_distances(pos, molecule_slot, atom_mask, cutoff)
    limit = cutoff * cutoff
    apart = torch.where(near, square, torch.full_like(square, 2 * limit))
    # Negated, because a static compiler sorts the largest first.
    found, source = torch.topk(-apart, min(num_neighbours, pos.shape[1]), dim=-1)
    chosen = -found < limit
    return NearestNeighbours(source, distances(-found, chosen), chosen.to(pos.dtype))


def nearest_convolution(
    features: Tensor, source: Tensor, filters: Tensor, weight: Tensor
) -> Tensor:
    """out_i = sum over n of features_source(i, n) * filters_in * weight_in, (P, N, F).

    Args:
        features: (P, N, F).
        source: (P, N, k) int64, slots in the pack.
        filters: (P, N, k, F).
        weight: (P, N, k), cutoff function times neighbour mask.
    """
    P, N, F = features.shape
    pack = torch.arange(P, device=source.device)[:, None, None]
    rows = features.reshape(P * N, F).index_select(0, (source + N * pack).reshape(-1))
    return (rows.view(filters.shape) * filters * weight[..., None]).sum(2)


def count_cut(
    pos: Tensor, molecule_slot: Tensor, atom_mask: Tensor, cutoff: float, num_neighbours: int
) -> tuple[int, int]:
    """Neighbours beyond ``num_neighbours`` an atom, and all neighbours within the cutoff.

    Both count ordered pairs; arguments as for `nearest_neighbours`.
    """
    _, near = squared_distances(pos, molecule_slot, atom_mask, cutoff)
    each = near.sum(-1)
    return int((each - num_neighbours).clamp(min=0).sum()), int(each.sum())
