"""Tensors in, tensors out: neighbour pairs and the continuous-filter convolution."""

from gnnpack.kernels.cfconv import continuous_filter_convolution
from gnnpack.kernels.dense import dense_convolution, dense_neighbours
from gnnpack.kernels.filter_table import (
    ROWS,
    Stencil,
    interpolate,
    interpolation_weights,
    make_stencil,
    num_knots_for,
)
from gnnpack.kernels.pairs import Pairs, find_pairs
from gnnpack.kernels.softplus import shifted_softplus
from gnnpack.kernels.tabulated import tabulated_convolution
from gnnpack.kernels.tail import block_tail

__all__ = [
    "ROWS",
    "Pairs",
    "Stencil",
    "block_tail",
    "continuous_filter_convolution",
    "dense_convolution",
    "dense_neighbours",
    "find_pairs",
    "interpolate",
    "interpolation_weights",
    "make_stencil",
    "num_knots_for",
    "shifted_softplus",
    "tabulated_convolution",
]
