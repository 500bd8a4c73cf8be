"""SchNet (Schütt et al. 2017, arXiv 1706.08566) on packs."""

from __future__ import annotations

import math
from typing import Any, Callable

import torch
from torch import Tensor, nn

from gnnpack.batching import PackBatch
from gnnpack.kernels import (
    Block,
    Output,
    Pairs,
    atom_values,
    continuous_filter_convolution,
    dense_convolution,
    dense_neighbours,
    find_pairs,
    in_static_graph,
    make_stencil,
    nearest_convolution,
    nearest_neighbours,
)
from gnnpack.kernels.compiled import asks_for_bf16, has_bf16
from gnnpack.kernels.cuda import embed
from gnnpack.models import cuda_path
from gnnpack.models.filters import Filter, FilterGrid, filter_choice
from gnnpack.models.layers import (
    Convolve,
    Gaussians,
    Interaction,
    ShiftedSoftplus,
    at_least_single,
    envelope,
    linear,
)
from gnnpack.models.readout import Readout

NEIGHBOURS = ("cutoff", "dense", "knn")


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
            masked: static shapes, and the reference for tests; ``knn``: the nearest of each atom,
            also of static shapes. What a static graph traces (`kernels.static_graph`) has static
            shapes and exact filters whatever is chosen.
        num_neighbours: of an atom with ``knn``; those beyond are cut, the farthest first.
        filter: ``exact``: the filter network on every pair; ``tabulated``, or `Tabulated` with
            choices of its own: on a grid of distances, and interpolated. The weights are the same.
        num_elements: atomic numbers 0 .. num_elements - 1 have an embedding.
        readout: the output layer; by default a sum in the network's own scale.
        compiled: use the compiled kernels of the CPU or, with tables, of the GPU; False is the
            plain-torch reference.
        largest_molecule: atoms of the largest molecule in training; a CUDA GPU then reserves room
            for so many pairs. A larger one turns gradients to NaN there. None = a pack's slots.
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
        filter: Filter = "exact",
        num_elements: int = 100,
        readout: Readout | None = None,
        compiled: bool = True,
        largest_molecule: int | None = None,
        num_neighbours: int = 28,
    ) -> None:
        super().__init__()
        sizes = {
            "hidden_channels": hidden_channels,
            "num_gaussians": num_gaussians,
            "num_filters": 1 if num_filters is None else num_filters,
            "num_elements": num_elements,
            "largest_molecule": 1 if largest_molecule is None else largest_molecule,
            "num_neighbours": num_neighbours,
        }
        _check(sizes, num_interactions, cutoff, neighbours)
        self.cutoff = float(cutoff)
        self.neighbours, self.num_neighbours = neighbours, num_neighbours
        self.compiled = compiled
        self.largest_molecule = largest_molecule
        self.embedding = nn.Embedding(num_elements, hidden_channels)
        self.gaussians = Gaussians(num_gaussians, cutoff)
        num_filters = hidden_channels if num_filters is None else num_filters
        self.interactions = nn.ModuleList(
            Interaction(hidden_channels, num_gaussians, num_filters)
            for _ in range(num_interactions)
        )
        self.output = nn.Sequential(
            linear(hidden_channels, hidden_channels // 2),
            ShiftedSoftplus(),
            linear(hidden_channels // 2, 1),
        )
        self.readout = Readout() if readout is None else readout
        how = filter_choice(filter)
        self.grid = None if how is None else FilterGrid(how, self.gaussians, self.cutoff)

    def forward(self, batch: PackBatch) -> Tensor:
        """Prediction per molecule slot, (P, G), in the readout's unit; 0 in slots without molecule.

        Raises:
            ValueError: an atomic number has no embedding.
        """
        has_kernels = self.compiled and self._has_tables
        return self._predict(
            batch, cuda_kernels=has_kernels and cuda_path.serves(self.embedding.weight)
        )

    @property
    def _has_tables(self) -> bool:
        """Whether blocks go from convolution to convolution with filters from tables."""
        tabulated = self.neighbours == "cutoff" and self.grid is not None
        return tabulated and len(self.interactions) > 0 and not in_static_graph()

    def _predict(self, batch: PackBatch, *, cuda_kernels: bool) -> Tensor:
        """`forward`; ``cuda_kernels`` on the CPU too, where Triton interprets them."""
        # Never below float32: half precision would move atoms by 0.002 Å.
        pos = batch.pos.to(at_least_single(self.embedding.weight.dtype))
        z = self._elements(batch)
        if cuda_kernels:
            atom_values = cuda_path.atom_values(self, z, pos, batch)
        elif self._has_tables:
            atom_values = self._by_precision(z, pos, batch)
        else:
            convolve = self._convolve_of(pos, batch)
            # nn.Embedding's own gradient waits for a GPU.
            features = embed(z, self.embedding.weight) if z.is_cuda else self.embedding(z)
            for interaction in self.interactions:
                features = features + interaction(features, convolve)
            atom_values = self.output(features)
        values = atom_values.view(batch.z.shape)
        prediction: Tensor = self.readout(values, batch, in_order=cuda_kernels)
        return prediction

    def _by_precision(self, z: Tensor, pos: Tensor, batch: PackBatch) -> Tensor:
        """`_tabulated`; the compiled network rounds to bfloat16 itself where autocast would."""
        if not (self.compiled and asks_for_bf16(self.embedding.weight)):
            return self._tabulated(z, pos, batch)
        with torch.autocast("cpu", enabled=False):
            return self._tabulated(z, pos, batch, bf16=has_bf16())

    def _tabulated(self, z: Tensor, pos: Tensor, batch: PackBatch, *, bf16: bool = False) -> Tensor:
        """Values of the atoms, (P * N, 1), with filters from tables.

        The first block's first layer is applied to the elements' embeddings instead of to the
        atoms'.
        """
        grid = self.grid
        assert grid is not None, "tables come from a grid"
        pairs = self._find_pairs(pos, batch)
        stencil = make_stencil(pairs, self.cutoff, grid.num_knots, grid.rows_per_knot)
        tables = grid.tables(self.interactions, compiled=self.compiled)
        parameters = self.parameters_with(tables)
        return atom_values(z, stencil, *parameters, compiled=self.compiled, bf16=bf16)

    def parameters_with(self, tables: Tensor) -> tuple[Tensor, Tensor, list[Block], Output]:
        """What `kernels.atom_values` takes behind the stencil, filters being ``tables``."""
        layers: Any = self.interactions
        output: Any = self.output
        heads = [*(block.before.weight for block in layers), output[0].weight]
        elements = self.embedding.weight
        blocks = [
            Block(
                table,
                block.after[0].weight,
                block.after[0].bias,
                block.after[2].weight,
                block.after[2].bias,
                head,
            )
            for table, block, head in zip(tables.unbind(0), layers, heads[1:])
        ]
        ends = Output(output[0].bias, output[2].weight, output[2].bias)
        return elements, elements @ heads[0].t(), blocks, ends

    def _elements(self, batch: PackBatch) -> Tensor:
        """Atomic numbers (P * N,), 0 in filler."""
        # Filler may hold any z; a real atom may not. Checked on the CPU alone: no device sync, and
        # a static graph has no values yet.
        z = torch.where(batch.atom_mask, batch.z, torch.zeros_like(batch.z))
        if z.device.type == "cpu" and z.numel() and not in_static_graph():
            least, most = int(z.min()), int(z.max())
            if least < 0 or most >= self.embedding.num_embeddings:
                raise ValueError(
                    f"Atomic number {least if least < 0 else most} has no embedding: the model "
                    f"knows 1 to {self.embedding.num_embeddings - 1}. Raise model.num_elements."
                )
        return z.view(-1)

    def _find_pairs(self, pos: Tensor, batch: PackBatch) -> Pairs:
        fields = batch.molecule_slot, batch.atom_mask, self.cutoff
        return find_pairs(pos, *fields, compiled=self.compiled)

    def _convolve_of(self, pos: Tensor, batch: PackBatch) -> Convolve:
        if self.neighbours == "knn":
            return self._nearest(pos, batch)
        if self.neighbours == "dense" or in_static_graph():
            return self._dense(pos, batch)
        return self._pairs(pos, batch)

    def _basis(self, distance: Tensor) -> tuple[Tensor, Tensor]:
        """What filter networks take, and the cutoff function, in the network's precision."""
        dtype = self.embedding.weight.dtype
        basis, scale = self.gaussians(distance), envelope(distance, self.cutoff)
        return basis.to(dtype), scale.to(dtype)

    def _pairs(self, pos: Tensor, batch: PackBatch) -> Convolve:
        """Exact filters on compact pairs."""
        pairs = self._find_pairs(pos, batch)
        basis, scale = self._basis(pairs.distance)

        def convolve(features: Tensor, filter_network: nn.Module) -> Tensor:
            return continuous_filter_convolution(
                features, filter_network(basis), scale, pairs, compiled=self.compiled
            )

        return convolve

    def _dense(self, pos: Tensor, batch: PackBatch) -> Convolve:
        """Every pair of slots, with filters of either kind."""
        near = dense_neighbours(pos, batch.molecule_slot, batch.atom_mask, self.cutoff)
        filters_at = self._static_filters(near.distance, near.mask)

        def convolve(features: Tensor, filter_network: nn.Module) -> Tensor:
            packed = features.view(*batch.z.shape, -1)
            return dense_convolution(packed, *filters_at(filter_network)).flatten(0, 1)

        return convolve

    def _nearest(self, pos: Tensor, batch: PackBatch) -> Convolve:
        """The nearest neighbours of each slot, with filters of either kind."""
        fields = batch.molecule_slot, batch.atom_mask, self.cutoff
        near = nearest_neighbours(pos, *fields, self.num_neighbours)
        filters_at = self._static_filters(near.distance, near.mask)

        def convolve(features: Tensor, filter_network: nn.Module) -> Tensor:
            packed = features.view(*batch.z.shape, -1)
            messages = nearest_convolution(packed, near.source, *filters_at(filter_network))
            return messages.flatten(0, 1)

        return convolve

    def _static_filters(
        self, distance: Tensor, mask: Tensor
    ) -> Callable[[nn.Module], tuple[Tensor, Tensor]]:
        """Filter network -> its filters (..., F) at ``distance`` (...), and their weights (...)."""
        basis, scale = self._basis(distance)
        mask = mask.to(basis.dtype)
        if self.grid is None or in_static_graph() or not self.interactions:
            return lambda network: (network(basis), scale * mask)
        grid, networks = self.grid, [block.filter_network for block in self._blocks]
        tables = dict(zip(networks, grid.tables(self.interactions)))
        # Tables hold the cutoff function as well.
        return lambda network: (grid.filters(tables[network], distance).to(mask.dtype), mask)

    def blocks(self) -> dict[str, nn.Module]:
        """What can be frozen, in the order of the data; ``head`` are the output layers."""
        interactions = {str(number): block for number, block in enumerate(self.interactions)}
        return {"embedding": self.embedding, **interactions, "head": self.output}

    @property
    def _blocks(self) -> list[Any]:
        return list(self.interactions)


def _check(sizes: dict[str, int], num_interactions: int, cutoff: float, neighbours: str) -> None:
    least = {"hidden_channels": 2, "num_gaussians": 2, "num_filters": 1, "num_elements": 2}
    least.update(largest_molecule=1, num_neighbours=1)
    for name, value in sizes.items():
        if value < least[name]:
            raise ValueError(f"model.{name} is {value}; it must be at least {least[name]}.")
    if num_interactions < 0:
        raise ValueError(f"model.num_interactions is {num_interactions}; it cannot be negative.")
    if not (cutoff > 0 and math.isfinite(cutoff)):
        raise ValueError(f"cutoff is {cutoff}; it is a distance in Å and must be above 0.")
    if neighbours not in NEIGHBOURS:
        raise ValueError(f"model.neighbours is {neighbours!r}; choose one of {NEIGHBOURS}.")
