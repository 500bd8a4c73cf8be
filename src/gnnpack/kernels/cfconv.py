"""The continuous-filter convolution of SchNet (Schütt et al. 2017, arXiv 1706.08566, eq. 2)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gnnpack.kernels.compiled import has_numba
from gnnpack.kernels.pairs import Pairs

# A atom slots, E undirected pairs, F channels


def continuous_filter_convolution(
    features: Tensor, filters: Tensor, envelope: Tensor, pairs: Pairs, *, compiled: bool = True
) -> Tensor:
    """out_i = sum over neighbours j of features_j * filters_ij * envelope_ij, (A, F).

    Args:
        features: (A, F), one row an atom slot of the batch.
        filters: (E, F), one row an undirected pair: the filter depends on the distance alone.
        envelope: (E,), the cutoff function of the pair's distance.
        compiled: use the numba kernel where it serves (CPU); False is the plain-torch reference.

    Under autocast the layers around it give half precision; the sum over neighbours is made in the
    envelope's precision, float32 or wider, and so is the result.
    """
    wide = torch.promote_types(envelope.dtype, torch.float32)
    features, filters, envelope = features.to(wide), filters.to(wide), envelope.to(wide)
    if compiled and features.device.type == "cpu" and has_numba():
        out: Tensor = _CompiledConvolution.apply(  # type: ignore[no-untyped-call]
            features, filters, envelope, pairs
        )
        return out
    return _convolution(features, filters, envelope, pairs)


def _convolution(features: Tensor, filters: Tensor, envelope: Tensor, pairs: Pairs) -> Tensor:
    """Reference: gather, multiply, add."""
    weights = filters * envelope[:, None]
    out = torch.zeros_like(features)
    out = out.index_add(0, pairs.second, features.index_select(0, pairs.first) * weights)
    return out.index_add(0, pairs.first, features.index_select(0, pairs.second) * weights)


class _CompiledConvolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, features: Tensor, filters: Tensor, envelope: Tensor, pairs: Pairs
    ) -> Tensor:
        from gnnpack.kernels.cpu_cfconv import convolve

        inputs = features.contiguous(), filters.contiguous(), envelope.contiguous()
        ctx.save_for_backward(*inputs, *pairs[:2], pairs.offsets)
        return convolve(ctx.to_save)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        from gnnpack.kernels.cpu_cfconv import convolve_backward

        features, filters, _, first, second, _ = ctx.saved_tensors
        grad = grad.contiguous()
        grad_features, grad_filters = convolve_backward(ctx.saved_tensors, grad)
        grad_envelope = None
        if ctx.needs_input_grad[2]:
            # Positions ask for it, training on energies does not: so no part of the kernel.
            grad_envelope = _envelope_gradient(features, filters, first, second, grad)
        return grad_features, grad_filters, grad_envelope, None


def _envelope_gradient(
    features: Tensor, filters: Tensor, first: Tensor, second: Tensor, grad: Tensor
) -> Tensor:
    both = features.index_select(0, second) * grad.index_select(0, first)
    both += features.index_select(0, first) * grad.index_select(0, second)
    return (both * filters).sum(1)
