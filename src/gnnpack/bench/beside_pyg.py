"""PyTorch Geometric's side of the comparison; the only file of the room that imports it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Callable, NamedTuple, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from gnnpack.batching import PackBatch, PackSource
from gnnpack.kernels import find_pairs
from gnnpack.models import SchNet, schnet_to_pyg

ABSENT = (
    "PyTorch Geometric is not installed, so its rows and all ratios to it are left out; "
    "`pip install 'gnnpack[pyg]'` brings it."
)


class PyG(NamedTuple):
    """What a comparison needs of PyG: ``Data``, ``Batch.from_data_list`` and ``DataLoader``."""

    molecule: Callable[..., Any]
    collate: Callable[[Sequence[Any]], Any]
    loader: Callable[..., Any]

    def data_list(self, source: PackSource, cutoff: float | None = None) -> list[Any]:
        """One ``Data`` a molecule, in the order of ``source.rows``; with edges for a cutoff (Å)."""
        assert source.target is not None, "a bench knows its targets"
        found = []
        for row in source.rows:
            atoms = slice(source.offsets[row], source.offsets[row + 1])
            pos = torch.from_numpy(np.array(source.pos[atoms]))
            edges = {} if cutoff is None else molecule_edges(pos, cutoff)._asdict()
            found.append(
                self.molecule(
                    z=torch.from_numpy(source.z[atoms].astype(np.int64)),
                    pos=pos,
                    y=torch.tensor([source.target[row]], dtype=torch.float32),
                    **edges,
                )
            )
        return found


def import_pyg() -> PyG | None:
    """PyG, or None where it is not installed; ValueError where it is and cannot be imported."""
    if find_spec("torch_geometric") is None:
        return None
    try:
        from torch_geometric.data import Batch, Data  # optional, and slow to import
        from torch_geometric.loader import DataLoader
    except ImportError as error:
        raise ValueError(
            f"PyTorch Geometric is installed but cannot be imported: {error}. Install it again "
            "(`pip install 'gnnpack[pyg]'`), or uninstall it to bench without its rows."
        ) from error
    return PyG(Data, Batch.from_data_list, DataLoader)


class Edges(NamedTuple):
    """Directed edges of a flat batch, sorted by target, as an interaction graph of PyG's gives."""

    edge_index: Tensor  # (2, E) int64: row 0 = source, row 1 = target
    distance: Tensor  # (E,) Å


def molecule_edges(pos: Tensor, cutoff: float) -> Edges:
    """Both directions of every pair within the cutoff in one molecule, pos (A, 3) in Å."""
    apart = torch.linalg.vector_norm(pos[:, None] - pos[None, :], dim=-1)
    apart.fill_diagonal_(cutoff)
    target, source = (apart < cutoff).nonzero(as_tuple=True)
    return Edges(torch.stack([source, target]), apart[target, source])


def directed_edges(padded: PackBatch, cutoff: float) -> Edges:
    """Both directions of every pair within the cutoff, between real atoms numbered in order.

    ``padded`` holds one molecule a pack, in the order of PyG's batch.
    """
    pairs = find_pairs(padded.pos, padded.molecule_slot, padded.atom_mask, cutoff, compiled=False)
    number = padded.atom_mask.reshape(-1).cumsum(0) - 1
    first, second = number[pairs.first.long()], number[pairs.second.long()]
    source, target = torch.cat([first, second]), torch.cat([second, first])
    order = (target * len(number) + source).argsort()
    distance = torch.cat([pairs.distance, pairs.distance])
    return Edges(torch.stack([source[order], target[order]]), distance[order])


class GivenEdges(nn.Module):
    """Stands for PyG's neighbour search, which needs the compiled package pyg-lib.

    ``edges`` are those of the batch at hand: set them before the network is called.
    """

    def __init__(self, edges: Edges | None = None) -> None:
        super().__init__()
        self.edges = edges

    def forward(self, pos: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Edge index (2, E) and distances (E,), whatever the positions."""
        assert self.edges is not None, "the edges of a batch are set before the network is called"
        return self.edges.edge_index, self.edges.distance


def pyg_schnet(ours: SchNet, edges: Edges | None = None) -> Any:
    """PyG's SchNet with our weights, which uses ``edges`` instead of searching neighbours."""
    theirs = schnet_to_pyg(ours)
    theirs.interaction_graph = GivenEdges(edges)
    return theirs
