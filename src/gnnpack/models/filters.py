"""Exact or tabulated filters: the choice, the tables and their error."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any, Iterable, Union

import torch
from torch import Tensor, nn

from gnnpack.kernels import (
    ROWS,
    FilterNetwork,
    Knots,
    filter_tables,
    interpolate,
    interpolation_weights,
    num_knots_for,
)
from gnnpack.models.layers import Gaussians, envelope

# Of which the check holds exact filters in float64 in memory.
DISTANCES_AT_A_TIME = 4096


@dataclass(frozen=True)
class Tabulated:
    """Evaluate the filter networks at knots, and interpolate.

    Args:
        tolerance: largest error of a filter over its root mean square; decides the knots.
        order: ``cubic`` (Hermite; smooth slope) or ``linear``.
        num_knots: over [0, cutoff]; None = as many as the tolerance asks for.
    """

    tolerance: float = 1e-4
    order: str = "cubic"
    num_knots: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < 1:
            raise ValueError(
                f"model.filter.tolerance is {self.tolerance}; it is a relative error: above 0 and "
                "below 1, e.g. 1e-4."
            )
        if self.order not in ROWS:
            raise ValueError(f"model.filter.order is {self.order!r}; choose one of {tuple(ROWS)}.")
        if self.num_knots is not None and self.num_knots < 2:
            raise ValueError(
                f"model.filter.num_knots is {self.num_knots}; a grid has at least 2. null lets "
                "model.filter.tolerance decide."
            )


Filter = Union[str, Tabulated]


def filter_choice(filter: Filter) -> Tabulated | None:
    """How to tabulate, or None for exact filters.

    Raises:
        ValueError: neither.
    """
    if isinstance(filter, Tabulated):
        return filter
    choices = {"exact": None, "tabulated": Tabulated()}
    if not isinstance(filter, str) or filter not in choices:
        raise ValueError(
            f"model.filter is {filter!r}; choose 'exact', 'tabulated', or keys of the latter, e.g. "
            "model.filter.tolerance=1e-5."
        )
    return choices[filter]


class FilterGrid:
    """Knots over [0, cutoff], and the tables of filter networks at them.

    Holds nothing a checkpoint keeps: a model trained with tables is one without them too.
    """

    def __init__(self, how: Tabulated, gaussians: Gaussians, cutoff: float) -> None:
        self.how, self.cutoff = how, cutoff
        self.rows_per_knot = ROWS[how.order]
        width = gaussians.width
        self.num_knots = how.num_knots or num_knots_for(how.tolerance, how.order, cutoff, width)
        self.spacing = cutoff / (self.num_knots - 1)
        self._gaussians = gaussians
        self._knots: dict[tuple[torch.dtype, torch.device], Knots] = {}

    def tables(self, interactions: Iterable[nn.Module], *, compiled: bool = True) -> Tensor:
        """Tables of all L blocks, (L, M, K, F); compiled=False is the plain-torch reference."""
        networks: Any = [block.filter_network for block in interactions]
        knots = self._knots_like(networks[0][0].weight)
        layers = [
            FilterNetwork(first.weight, first.bias, last.weight, last.bias)
            for first, _, last in networks
        ]
        return filter_tables(knots, layers, compiled=compiled)

    def filters(self, table: Tensor, distance: Tensor) -> Tensor:
        """Interpolated filters (..., F) at distances (...), cutoff function included."""
        where = interpolation_weights(distance, self.cutoff, self.num_knots, self.rows_per_knot)
        return interpolate(table, *where)

    def _knots_like(self, tensor: Tensor) -> Knots:
        key = tensor.dtype, tensor.device
        if key not in self._knots:
            # Kept for training too, wherever they are first needed.
            with torch.inference_mode(False):
                self._knots[key] = Knots(*(value.to(tensor) for value in self._make_knots()))
        return self._knots[key]

    def _make_knots(self) -> Knots:
        """In float64, whatever the model's own precision."""
        distance = torch.arange(self.num_knots, dtype=torch.float64)[:, None] * self.spacing
        offset = distance - self._gaussians.centres.double().cpu()
        coefficient, angle = self._gaussians.coefficient, math.pi / self.cutoff
        basis = torch.exp(coefficient * offset.square())
        slope = 2 * coefficient * offset * basis * self.spacing
        if self.rows_per_knot == 2:
            basis = torch.cat([basis, slope])
        envelope_slope = -0.5 * angle * torch.sin(distance * angle) * self.spacing
        return Knots(basis, envelope(distance, self.cutoff), envelope_slope)


@torch.no_grad()
def filter_error(model: Any, distances: Tensor) -> float:
    """Largest error of the tables' filters at distances (d,), over their root mean square.

    The mean is over the filter's whole range, block by block; computed in float64.

    Args:
        model: a network with ``grid``, ``gaussians`` and ``interactions``, as `SchNet` has them.
    """
    grid: FilterGrid = model.grid
    double = copy.deepcopy(model.interactions).to(device="cpu", dtype=torch.float64)
    gaussians = copy.deepcopy(model.gaussians).to(device="cpu", dtype=torch.float64)
    evenly = torch.linspace(0, grid.cutoff, 1000, dtype=torch.float64)
    errors = [torch.zeros((), dtype=torch.float64)]
    for table, block in zip(grid.tables(double), double):

        def exact(at: Tensor, block: Any = block) -> Tensor:
            values: Tensor = (
                block.filter_network(gaussians(at)) * envelope(at, grid.cutoff)[:, None]
            )
            return values

        size = exact(evenly).square().mean().sqrt()
        parts = torch.split(distances, DISTANCES_AT_A_TIME) if len(distances) else ()
        errors += [(grid.filters(table, at) - exact(at)).abs().max() / size for at in parts]
    # Not Python's max, which loses NaN.
    return float(torch.stack(errors).max())
