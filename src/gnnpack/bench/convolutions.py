"""How long one block's convolution takes, its filters included: forward, and with the backward."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Callable, Sequence

import torch
from torch import Tensor

from gnnpack.bench.batches import whole_batch
from gnnpack.bench.data import Batch, BenchData
from gnnpack.bench.models import make_model
from gnnpack.bench.section import Contender, Section, measure
from gnnpack.bench.settings import OverviewSettings
from gnnpack.bench.training_step import check_same_function
from gnnpack.kernels import (
    Pairs,
    continuous_filter_convolution,
    find_pairs,
    make_stencil,
    tabulated_convolution,
)
from gnnpack.models import SchNet
from gnnpack.models.filters import FilterGrid

PLAIN = "plain torch"
# Features (A, F) -> messages (A, F), filters evaluated on the way.
Convolution = Callable[[Tensor], Tensor]


class OneBlock:
    """The first block of a model on the pairs of a batch: features, filter network, distances."""

    def __init__(self, model: SchNet, pairs: Pairs, num_slots: int) -> None:
        assert isinstance(model.grid, FilterGrid), (
            "made with tables, which the exact way leaves out"
        )
        self.block: Any = model.interactions[0]
        self.network: Any = self.block.filter_network
        self.grid = model.grid
        self.gaussians, self.cutoff, self.pairs = model.gaussians, model.cutoff, pairs
        # Shared by all blocks and made once a batch, as pairs are.
        self.stencil = make_stencil(
            pairs, model.cutoff, model.grid.num_knots, model.grid.rows_per_knot
        )
        channels = model.embedding.embedding_dim
        features = torch.linspace(-1.0, 1.0, num_slots * channels).sin()
        self.features = features.view(num_slots, channels).requires_grad_()

    def exact(self, features: Tensor, *, compiled: bool) -> Tensor:
        """The filter network on every pair, then the convolution."""
        distance = self.pairs.distance
        envelope = 0.5 * (torch.cos(distance * (math.pi / self.cutoff)) + 1.0)
        filters = self.network(self.gaussians(distance))
        return continuous_filter_convolution(
            features, filters, envelope, self.pairs, compiled=compiled
        )

    def tabulated(self, features: Tensor) -> Tensor:
        """The filter network on the grid, then the convolution."""
        table = self.grid.tables([self.block])[0]
        return tabulated_convolution(features, table, self.stencil)

    def ways(self) -> dict[str, Convolution]:
        """What is compared, the reference first."""
        return {
            PLAIN: partial(self.exact, compiled=False),
            "exact": partial(self.exact, compiled=True),
            "tabulated": self.tabulated,
        }

    def backward(self, way: Convolution) -> None:
        """A forward and a backward pass, to the features and the network's weights."""
        self.features.grad = None
        self.network.zero_grad()
        way(self.features).square().sum().backward()  # type: ignore[no-untyped-call]

    def forward(self, way: Convolution) -> None:
        """A forward pass."""
        with torch.no_grad():
            way(self.features)

    def results(self, way: Convolution) -> dict[str, Tensor]:
        """Values and gradients, by name."""
        self.backward(way)
        assert self.features.grad is not None, "a backward pass was made"
        found = {"values": way(self.features).detach(), "features": self.features.grad.clone()}
        for name, parameter in self.network.named_parameters():
            assert parameter.grad is not None, "a backward pass was made"
            found[name] = parameter.grad.clone()
        return found


def measure_convolution(
    data: BenchData, batch: Batch, settings: OverviewSettings
) -> Sequence[Section]:
    """Convolve the same features in each way; ValueError when values or gradients differ."""
    packed = whole_batch(batch.source, batch.packed)
    pairs = find_pairs(packed.pos, packed.molecule_slot, packed.atom_mask, settings.cutoff)
    block = OneBlock(make_model(data, settings, filter="tabulated"), pairs, packed.z.numel())
    ways = block.ways()
    difference = check_convolutions({name: block.results(way) for name, way in ways.items()})
    note = (
        f"{int(packed.atom_mask.sum()):,} atoms, {len(pairs.first):,} undirected pairs, "
        f"{settings.hidden_channels} channels; one block's filters are evaluated on the way, "
        f"tabulated at {block.grid.num_knots:,} knots; pairs and their places are there. Values "
        f"and gradients agree to {difference:.1e} relative."
    )
    found = []
    for name, title, call in (
        ("convolution", "Convolution, forward", block.forward),
        ("convolution_backward", "Convolution, forward and backward", block.backward),
    ):
        contenders = [Contender(way, way, partial(call, ways[way])) for way in ways]
        found.append(measure(name, title, note, contenders, settings.repeats, baseline=PLAIN))
    return found


def check_convolutions(found: dict[str, dict[str, Tensor]]) -> float:
    """Largest relative difference of any value or gradient; ValueError when it is too large."""
    names = next(iter(found.values()))
    return max(
        check_same_function({way: results[name] for way, results in found.items()})
        for name in names
    )
