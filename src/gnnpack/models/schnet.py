"""SchNet (Schütt et al. 2017, arXiv 1706.08566) on packs."""

from __future__ import annotations

import math
from typing import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gnnpack.batching import PackBatch
from gnnpack.kernels import (
    continuous_filter_convolution,
    dense_convolution,
    dense_neighbours,
    find_pairs,
)
from gnnpack.models.readout import Readout

NEIGHBOURS = ("cutoff", "dense")

# ln 2 rounded to float32, as PyG has it: in float64 too, equal weights then give equal energies.
LN2 = float(torch.log(torch.tensor(2.0)))

# Features (P * N, F) -> messages (P * N, F), given the filter network of a block.
Convolve = Callable[[Tensor, nn.Module], Tensor]


class SchNet(nn.Module):
    """Continuous-filter convolutions between the atoms of each molecule.

    Same function as PyTorch Geometric's ``SchNet`` with the same weights, for whole packs.

    Args:
        hidden_channels: width F of the atom features.
        num_interactions: number of interaction blocks.
        num_gaussians: radial basis functions, spread evenly over [0, cutoff].
        cutoff: Å; a neighbour is any atom of the same molecule closer than this.
        num_filters: channels of the convolution; None = hidden_channels.
        neighbours: ``cutoff``: compact undirected pairs; ``dense``: every pair of slots of a pack,
            masked: static shapes, and the reference for tests.
        num_elements: atomic numbers 0 .. num_elements - 1 have an embedding.
        readout: the output layer; by default a sum in the network's own scale.
        compiled: let the CPU use its compiled kernels; False is the plain-torch reference.
    """

    def __init__(
        self,
        hidden_channels: int = 100,
        num_interactions: int = 4,
        num_gaussians: int = 25,
        cutoff: float = 6.0,
        *,
        num_filters: int | None = None,
        neighbours: str = "cutoff",
        num_elements: int = 100,
        readout: Readout | None = None,
        compiled: bool = True,
    ) -> None:
        super().__init__()
        sizes = {
            "hidden_channels": hidden_channels,
            "num_gaussians": num_gaussians,
            "num_filters": 1 if num_filters is None else num_filters,
            "num_elements": num_elements,
        }
        _check(sizes, num_interactions, cutoff, neighbours)
        self.cutoff = float(cutoff)
        self.neighbours = neighbours
        self.compiled = compiled
        self.embedding = nn.Embedding(num_elements, hidden_channels)
        self.gaussians = Gaussians(num_gaussians, cutoff)
        num_filters = hidden_channels if num_filters is None else num_filters
        self.interactions = nn.ModuleList(
            Interaction(hidden_channels, num_gaussians, num_filters)
            for _ in range(num_interactions)
        )
        self.output = nn.Sequential(
            _linear(hidden_channels, hidden_channels // 2),
            ShiftedSoftplus(),
            _linear(hidden_channels // 2, 1),
        )
        self.readout = Readout() if readout is None else readout

    def forward(self, batch: PackBatch) -> Tensor:
        """Prediction per molecule slot, (P, G), in the readout's unit; 0 in slots without molecule.

        Raises:
            ValueError: an atomic number has no embedding.
        """
        pos = batch.pos.to(self.embedding.weight.dtype)
        convolve = (
            self._dense(pos, batch) if self.neighbours == "dense" else self._pairs(pos, batch)
        )
        features = self._embed(batch)
        for interaction in self.interactions:
            features = features + interaction(features, convolve)
        prediction: Tensor = self.readout(self.output(features).view(batch.z.shape), batch)
        return prediction

    def _embed(self, batch: PackBatch) -> Tensor:
        # Filler may hold any z; a real atom may not. Checked on the CPU alone: no device sync.
        z = torch.where(batch.atom_mask, batch.z, torch.zeros_like(batch.z))
        if z.device.type == "cpu" and int(z.max()) >= self.embedding.num_embeddings:
            raise ValueError(
                f"Atomic number {int(z.max())} has no embedding: the model knows 1 to "
                f"{self.embedding.num_embeddings - 1}. Raise model.num_elements."
            )
        features: Tensor = self.embedding(z)
        return features.view(-1, self.embedding.embedding_dim)

    def _pairs(self, pos: Tensor, batch: PackBatch) -> Convolve:
        pairs = find_pairs(
            pos, batch.molecule_slot, batch.atom_mask, self.cutoff, compiled=self.compiled
        )
        basis, envelope = self.gaussians(pairs.distance), self._envelope(pairs.distance)

        def convolve(features: Tensor, filter_network: nn.Module) -> Tensor:
            return continuous_filter_convolution(
                features, filter_network(basis), envelope, pairs, compiled=self.compiled
            )

        return convolve

    def _dense(self, pos: Tensor, batch: PackBatch) -> Convolve:
        near = dense_neighbours(pos, batch.molecule_slot, batch.atom_mask, self.cutoff)
        basis, weight = self.gaussians(near.distance), self._envelope(near.distance) * near.mask

        def convolve(features: Tensor, filter_network: nn.Module) -> Tensor:
            grouped = features.view(*batch.z.shape, -1)
            messages = dense_convolution(grouped, filter_network(basis), weight)
            return messages.view(features.shape)

        return convolve

    def _envelope(self, distance: Tensor) -> Tensor:
        """Cosine cutoff: 1 at distance 0, 0 with slope 0 at the cutoff."""
        return 0.5 * (torch.cos(distance * (math.pi / self.cutoff)) + 1.0)


class Interaction(nn.Module):
    """One interaction block: atom-wise layer, convolution, two atom-wise layers."""

    def __init__(self, hidden_channels: int, num_gaussians: int, num_filters: int) -> None:
        super().__init__()
        self.filter_network = nn.Sequential(
            _linear(num_gaussians, num_filters),
            ShiftedSoftplus(),
            _linear(num_filters, num_filters),
        )
        self.before = _linear(hidden_channels, num_filters, bias=False)
        self.after = nn.Sequential(
            _linear(num_filters, hidden_channels),
            ShiftedSoftplus(),
            _linear(hidden_channels, hidden_channels),
        )

    def forward(self, features: Tensor, convolve: Convolve) -> Tensor:
        """Features (A, F) -> the block's addition to them, (A, F)."""
        out: Tensor = self.after(convolve(self.before(features), self.filter_network))
        return out


class Gaussians(nn.Module):
    """Expand distances in Gaussians spread evenly over [0, cutoff] (arXiv 1706.08566, eq. 3)."""

    centres: Tensor

    def __init__(self, num_gaussians: int, cutoff: float) -> None:
        super().__init__()
        centres = torch.linspace(0.0, cutoff, num_gaussians)
        # Not in the state: they follow from the arguments.
        self.register_buffer("centres", centres, persistent=False)
        # From the rounded centres, as PyG has it: weights then mean the same to the last digit.
        self.coefficient = -0.5 / (centres[1] - centres[0]).item() ** 2

    def forward(self, distance: Tensor) -> Tensor:
        """Distances (...) in Å -> (..., num_gaussians)."""
        return torch.exp(self.coefficient * (distance[..., None] - self.centres).square())


class ShiftedSoftplus(nn.Module):
    """softplus(x) - ln 2, which is 0 at 0 (arXiv 1706.08566, section 4.1)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.softplus(x).sub_(LN2)


def _linear(num_inputs: int, num_outputs: int, *, bias: bool = True) -> nn.Linear:
    layer = nn.Linear(num_inputs, num_outputs, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def _check(sizes: dict[str, int], num_interactions: int, cutoff: float, neighbours: str) -> None:
    least = {"hidden_channels": 2, "num_gaussians": 2, "num_filters": 1, "num_elements": 2}
    for name, value in sizes.items():
        if value < least[name]:
            raise ValueError(f"model.{name} is {value}; it must be at least {least[name]}.")
    if num_interactions < 0:
        raise ValueError(f"model.num_interactions is {num_interactions}; it cannot be negative.")
    if not (cutoff > 0 and math.isfinite(cutoff)):
        raise ValueError(f"cutoff is {cutoff}; it is a distance in Å and must be above 0.")
    if neighbours not in NEIGHBOURS:
        raise ValueError(f"model.neighbours is {neighbours!r}; choose one of {NEIGHBOURS}.")
