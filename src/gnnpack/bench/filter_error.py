"""How far tabulated filters are from the filter networks, at the distances of real molecules."""

from __future__ import annotations

from functools import partial
from typing import Any, Iterable, NamedTuple

import torch
from torch import Tensor, nn

from gnnpack.batching import PackBatch
from gnnpack.bench.batches import whole_batch
from gnnpack.bench.data import Batch, BenchData
from gnnpack.bench.models import make_model
from gnnpack.bench.section import Contender, Section, measure
from gnnpack.bench.settings import OverviewSettings
from gnnpack.kernels import ROWS, find_pairs
from gnnpack.models import Readout, SchNet, Tabulated
from gnnpack.models.filters import FilterGrid
from gnnpack.models.layers import envelope

TOLERANCES = (1e-3, 1e-4, 1e-5)
PRECISIONS = (torch.float64, torch.float32, torch.float16)
EXACT = "exact, float64"
EVEN_DISTANCES = 2_001


class Filters(NamedTuple):
    """One way to evaluate filters: of all blocks at all pairs, and the energies that come of it."""

    filters: Tensor  # (L, E, F) float64
    size: Tensor  # (L,) float64, their root mean square over distances spread evenly to the cutoff
    energies: Tensor  # (P, G) float64


class RoundedGrid(FilterGrid):
    """A grid whose tables were kept in half precision."""

    def tables(self, interactions: Iterable[nn.Module], *, compiled: bool = True) -> Tensor:
        """Tables (L, M, K, F), rounded."""
        tables = super().tables(interactions, compiled=compiled)
        return tables.half().to(tables.dtype)


def measure_filter_error(data: BenchData, batch: Batch, settings: OverviewSettings) -> Section:
    """Evaluate one block's filters in each way; errors are those of all blocks.

    ValueError when a grid in double precision misses the tolerance that chose its knots.
    """
    packed = whole_batch(batch.source, batch.packed)
    exact = _model(data, settings, "exact", torch.float64)
    reference = evaluate(exact, packed)
    contenders = [_contender(EXACT, exact, packed, {})]
    for order in ROWS:
        for tolerance in TOLERANCES:
            for precision in PRECISIONS:
                how = Tabulated(tolerance, order)
                model = _model(data, settings, how, precision)
                assert model.grid is not None, "made with tables"
                facts = {"tolerance": tolerance, "knots": model.grid.num_knots}
                facts.update(filter_errors(evaluate(model, packed), reference))
                kind = f"{order}, {str(precision).split('.')[1]}"
                name = f"{kind}, {facts['knots']:,} knots"
                if precision == torch.float64:
                    _check(name, tolerance, facts["largest_error"])
                contenders.append(_contender(name, model, packed, facts, kind))
    return measure(
        "filter_error",
        "Filters from a table",
        f"{reference.filters.shape[1]:,} undirected pairs within {settings.cutoff:g} Å, first "
        "weights. Errors of filters over their root mean square from 0 to the cutoff, of energies "
        "over theirs in the network's own scale; float16: the table is kept in it, the sums are "
        "float32. The time is that of one block's filters in plain torch.",
        contenders,
        min(settings.repeats, 3),
        columns=("tolerance", "knots", "largest_error", "rms_error", "energy_error"),
        wide=("tolerance",),
        least_seconds=0.0,
    )


def evaluate(model: SchNet, batch: PackBatch) -> Filters:
    """Filters of all blocks at the batch's pairs, cutoff function included, and energies."""
    blocks: Any = model.interactions
    distance = pair_distances(model, batch)
    with torch.no_grad():
        filters = torch.stack([block_filters(model, block, distance) for block in blocks])
        evenly = torch.linspace(0, model.cutoff, EVEN_DISTANCES).to(distance)
        spread = torch.stack([block_filters(model, block, evenly) for block in blocks])
        size = spread.double().square().mean((1, 2)).sqrt()
        return Filters(filters.double(), size, model(batch).double())


def pair_distances(model: SchNet, batch: PackBatch) -> Tensor:
    """Distances (E,), Å, of all neighbours in the model's precision."""
    pos = batch.pos.to(model.embedding.weight.dtype)
    return find_pairs(pos, batch.molecule_slot, batch.atom_mask, model.cutoff).distance


def block_filters(model: SchNet, block: Any, distance: Tensor) -> Tensor:
    """Filters (E, F) of one block, exact or tabulated as the model has them."""
    if model.grid is not None:
        return model.grid.filters(model.grid.tables([block])[0], distance)
    filters: Tensor = block.filter_network(model.gaussians(distance))
    return filters * envelope(distance, model.cutoff)[:, None]


def filter_errors(found: Filters, reference: Filters) -> dict[str, float]:
    """Errors over the root mean square of what they are errors of; the worst block's counts."""
    error = (found.filters - reference.filters) / reference.size[:, None, None]
    energy_error = (found.energies - reference.energies).abs().max()
    return {
        "largest_error": error.abs().max().item(),
        "rms_error": error.square().mean((1, 2)).sqrt().max().item(),
        "energy_error": (energy_error / _rms_of_molecules(reference.energies)).item(),
    }


def _rms_of_molecules(energies: Tensor) -> Tensor:
    # Slots without a molecule hold an exact 0.
    return energies[energies != 0].square().mean().sqrt()


def _model(
    data: BenchData, settings: OverviewSettings, how: str | Tabulated, precision: torch.dtype
) -> SchNet:
    rounded = precision == torch.float16
    model = make_model(data, settings, filter=how).to(torch.float32 if rounded else precision)
    # In the network's own scale, so that the targets' mean hides no error.
    model.readout = Readout(data.run.readout).to(model.embedding.weight.dtype)
    if rounded:
        assert isinstance(how, Tabulated), "an exact filter has no table to round"
        model.grid = RoundedGrid(how, model.gaussians, model.cutoff)
    return model


def _contender(
    name: str, model: SchNet, batch: PackBatch, facts: dict[str, Any], label: str = EXACT
) -> Contender:
    distance = pair_distances(model, batch)
    # Of the first block; a network without blocks has no filters, and no such section.
    call = torch.no_grad()(partial(block_filters, model, model.interactions[0], distance))
    return Contender(name, label, call, facts=lambda: facts)


def _check(name: str, tolerance: float, error: float) -> None:
    if not error < tolerance:
        raise ValueError(
            f"Filters of {name} are {error:.1e} off, more than the tolerance {tolerance:g} that "
            "chose their knots. This is a bug in gnnpack: please report it."
        )
