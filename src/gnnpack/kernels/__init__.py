"""Tensors in, tensors out: neighbour pairs and the continuous-filter convolution."""

from gnnpack.kernels.cfconv import continuous_filter_convolution
from gnnpack.kernels.compiled import has_numba
from gnnpack.kernels.dense import dense_convolution, dense_neighbours
from gnnpack.kernels.filter_networks import FilterNetwork, Knots, filter_tables
from gnnpack.kernels.filter_table import (
    ROWS,
    Stencil,
    interpolate,
    interpolation_weights,
    make_stencil,
    num_knots_for,
)
from gnnpack.kernels.nearest import count_cut, nearest_convolution, nearest_neighbours
from gnnpack.kernels.network import Block, Output, atom_values
from gnnpack.kernels.pairs import Pairs, find_pairs
from gnnpack.kernels.softplus import shifted_softplus, stable_softplus
from gnnpack.kernels.static_graph import in_static_graph, static_graph
from gnnpack.kernels.tabulated import tabulated_convolution

__all__ = [
    "ROWS",
    "Block",
    "FilterNetwork",
    "Knots",
    "Output",
    "Pairs",
    "Stencil",
    "atom_values",
    "continuous_filter_convolution",
    "count_cut",
    "dense_convolution",
    "dense_neighbours",
    "filter_tables",
    "find_pairs",
    "has_numba",
    "in_static_graph",
    "interpolate",
    "interpolation_weights",
    "make_stencil",
    "nearest_convolution",
    "nearest_neighbours",
    "num_knots_for",
    "shifted_softplus",
    "stable_softplus",
    "static_graph",
    "tabulated_convolution",
]
