"""The continuous-filter convolution with filters from a table."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gnnpack.kernels.compiled import has_numba
from gnnpack.kernels.filter_table import Stencil, interpolate

# A atom slots, E undirected pairs, F channels, M knots of K rows


def tabulated_convolution(
    features: Tensor, table: Tensor, stencil: Stencil, *, compiled: bool = True
) -> Tensor:
    """out_i = sum over neighbours j of features_j * filter(d_ij), (A, F).

    Args:
        features: (A, F), one row an atom slot of the batch.
        table: (M, K, F), see `gnnpack.kernels.filter_table`.
        compiled: use the numba kernel where it serves (CPU); False is the plain-torch reference.

    The sum is made in the stencil's precision, float32 or wider, whatever autocast gave before it.
    Differentiable in features, table and distances (once).
    """
    wide = torch.promote_types(stencil.weights.dtype, torch.float32)
    features, table, weights = features.to(wide), table.to(wide), stencil.weights.to(wide)
    if compiled and features.device.type == "cpu" and has_numba():
        out: Tensor = _Compiled.apply(  # type: ignore[no-untyped-call]
            features, table, weights, *stencil[:4]
        )
        return out
    return _convolution(features, table, stencil._replace(weights=weights))


def _convolution(features: Tensor, table: Tensor, stencil: Stencil) -> Tensor:
    """Reference: interpolate, gather, multiply, add."""
    filters = interpolate(table, stencil.knots, stencil.weights)
    first, second = stencil.first, stencil.second
    out = torch.zeros_like(features)
    out = out.index_add(0, second, features.index_select(0, first) * filters)
    return out.index_add(0, first, features.index_select(0, second) * filters)


class _Compiled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        table: Tensor,
        weights: Tensor,
        first: Tensor,
        second: Tensor,
        offsets: Tensor,
        knots: Tensor,
    ) -> Tensor:
        from gnnpack.kernels.cpu_tabulated import convolve

        inputs = features.contiguous(), table.contiguous(), weights.contiguous()
        ctx.save_for_backward(*inputs, first, second, offsets, knots)
        return convolve(ctx.to_save)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        from gnnpack.kernels.cpu_tabulated import convolve_backward

        features, table, _, first, second, _, knots = ctx.saved_tensors
        grad = grad.contiguous()
        grad_features, grad_table = convolve_backward(ctx.saved_tensors, grad)
        grad_weights = None
        if ctx.needs_input_grad[2]:
            # Positions ask for it, training on energies does not.
            grad_weights = _weight_gradient(features, table, first, second, knots, grad)
        return grad_features, grad_table, grad_weights, None, None, None, None


def _weight_gradient(
    features: Tensor, table: Tensor, first: Tensor, second: Tensor, knots: Tensor, grad: Tensor
) -> Tensor:
    """(E, 2 K): what a row of the table would add to the loss if its weight were 1 higher."""
    both = features.index_select(0, second) * grad.index_select(0, first)
    both += features.index_select(0, first) * grad.index_select(0, second)
    rows = table.view(-1, table.shape[2])
    first_row = knots.long() * table.shape[1]
    taps = range(2 * table.shape[1])
    return torch.stack([(both * rows[first_row + k]).sum(1) for k in taps], 1)
