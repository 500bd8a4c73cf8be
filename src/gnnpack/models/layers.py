"""The layers of SchNet (Schütt et al. 2017, arXiv 1706.08566)."""

from __future__ import annotations

import math
from typing import Callable

import torch
from torch import Tensor, nn

from gnnpack.kernels import shifted_softplus

# Features (P * N, F) -> messages (P * N, F), given the filter network of a block.
Convolve = Callable[[Tensor, nn.Module], Tensor]


class Interaction(nn.Module):
    """One interaction block: atom-wise layer, convolution, two atom-wise layers."""

    def __init__(self, hidden_channels: int, num_gaussians: int, num_filters: int) -> None:
        super().__init__()
        self.filter_network = nn.Sequential(
            linear(num_gaussians, num_filters),
            ShiftedSoftplus(),
            linear(num_filters, num_filters),
        )
        self.before = linear(hidden_channels, num_filters, bias=False)
        self.after = nn.Sequential(
            linear(num_filters, hidden_channels),
            ShiftedSoftplus(),
            linear(hidden_channels, hidden_channels),
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
        self.width = (centres[1] - centres[0]).item()
        self.coefficient = -0.5 / self.width**2

    def forward(self, distance: Tensor) -> Tensor:
        """Distances (...) in Å -> (..., num_gaussians)."""
        return torch.exp(self.coefficient * (distance[..., None] - self.centres).square())


class ShiftedSoftplus(nn.Module):
    """softplus(x) - ln 2, which is 0 at 0 (arXiv 1706.08566, section 4.1)."""

    def forward(self, x: Tensor) -> Tensor:
        return shifted_softplus(x)


def linear(num_inputs: int, num_outputs: int, *, bias: bool = True) -> nn.Linear:
    """A dense layer with Glorot weights and no bias at first."""
    layer = nn.Linear(num_inputs, num_outputs, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def at_least_single(dtype: torch.dtype) -> torch.dtype:
    """float64 for float64, float32 for all narrower types."""
    return dtype if dtype == torch.float64 else torch.float32


def envelope(distance: Tensor, cutoff: float) -> Tensor:
    """Cosine cutoff: 1 at distance 0, 0 with slope 0 at the cutoff."""
    return 0.5 * (torch.cos(distance * (math.pi / cutoff)) + 1.0)
