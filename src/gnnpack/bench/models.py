"""The networks of a bench: one set of weights in every way to compute it."""

from __future__ import annotations

from typing import Any

import torch

from gnnpack.bench.data import BenchData
from gnnpack.bench.settings import OverviewSettings
from gnnpack.bench.work import FilterRows, Network, Work, count_work, table_rows
from gnnpack.models import Readout, SchNet


def filter_override(name: str) -> str:
    """What is typed after ``gnnpack train`` for exact or tabulated filters."""
    return f"model.filter={name}"


def network_of(settings: OverviewSettings) -> Network:
    """Sizes of the network, for counting its work."""
    return Network(
        settings.hidden_channels,
        settings.hidden_channels,
        settings.num_interactions,
        settings.num_gaussians,
    )


def make_model(data: BenchData, settings: OverviewSettings, **options: Any) -> SchNet:
    """SchNet of the settings, the same weights whatever the options of how to compute it."""
    # Forked, so that measuring leaves the caller's random numbers alone.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return SchNet(
            settings.hidden_channels,
            settings.num_interactions,
            settings.num_gaussians,
            settings.cutoff,
            readout=Readout(data.run.readout, *data.scale),
            **options,
        )


def count_model_work(model: SchNet, network: Network, atoms: int, pairs: int) -> Work:
    """Work of one update of the model on so many real atoms and undirected pairs."""
    grid = model.grid
    if grid is None:
        return count_work(network, atoms=atoms, pairs=pairs, filters=FilterRows(pairs))
    return count_work(
        network,
        atoms=atoms,
        pairs=pairs,
        filters=table_rows(grid.num_knots, grid.rows_per_knot),
        # The first layer is applied to the elements' embeddings, not to the atoms'.
        first_rows=model.embedding.num_embeddings,
    )
