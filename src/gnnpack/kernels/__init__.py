"""Tensors in, tensors out: neighbour pairs and the continuous-filter convolution."""

from gnnpack.kernels.cfconv import continuous_filter_convolution
from gnnpack.kernels.dense import dense_convolution, dense_neighbours
from gnnpack.kernels.pairs import Pairs, find_pairs

__all__ = [
    "Pairs",
    "continuous_filter_convolution",
    "dense_convolution",
    "dense_neighbours",
    "find_pairs",
]
