"""What follows the convolution in a block, and the first layer of what follows the block."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from gnnpack.kernels.matmul import (
    dense_residual,
    rows_times,
    rows_times_transposed,
    weight_gradient,
)
from gnnpack.kernels.softplus import chain, serves, shifted_softplus, value_and_slope

# A atom slots, F channels of the atoms, C of the convolution, O of the next layer


def block_tail(
    messages: Tensor,
    features: Tensor,
    weight_1: Tensor,
    bias_1: Tensor,
    weight_2: Tensor,
    bias_2: Tensor,
    next_weight: Tensor,
    *,
    compiled: bool = True,
) -> tuple[Tensor, Tensor]:
    """features + layer_2(ssp(layer_1(messages))), (A, F), and the next layer of that, (A, O).

    Args:
        messages: (A, C), what the convolution gave.
        features: (A, F), the residual stream.
        weight_1: (F, C), bias_1 (F,); weight_2: (F, F), bias_2 (F,).
        next_weight: (O, F), without bias: the first layer of the next block, or of the output.
        compiled: one function with a backward pass of its own (float32 on a CPU with numba): fewer
            passes over memory; False is the plain-torch reference, which also serves autocast.
    """
    arguments = messages, features, weight_1, bias_1, weight_2, bias_2, next_weight
    if compiled and serves(messages) and not _autocast():
        features, ahead = _Compiled.apply(*arguments)  # type: ignore[no-untyped-call]
        return features, ahead
    inner = shifted_softplus(F.linear(messages, weight_1, bias_1))
    features = features + F.linear(inner, weight_2, bias_2)
    return features, F.linear(features, next_weight)


def _autocast() -> bool:
    try:
        return bool(torch.is_autocast_enabled("cpu"))
    except TypeError:  # torch before 2.4 has a function for each device
        return bool(torch.is_autocast_cpu_enabled())


class _Compiled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        messages: Tensor,
        features: Tensor,
        weight_1: Tensor,
        bias_1: Tensor,
        weight_2: Tensor,
        bias_2: Tensor,
        next_weight: Tensor,
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        inner, slope = value_and_slope(rows_times_transposed(messages, weight_1), bias_1)
        out = dense_residual(inner, weight_2, bias_2, features)
        ctx.save_for_backward(messages, slope, inner, out, weight_1, weight_2, next_weight)
        return out, rows_times_transposed(out, next_weight)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_out: Tensor | None, grad_ahead: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        messages, slope, inner, out, weight_1, weight_2, next_weight = ctx.saved_tensors
        grad, grad_next_weight = _join(grad_out, grad_ahead, out, next_weight)
        grad_weight_2, grad_bias_2 = weight_gradient(grad, inner), grad.sum(0)
        grad_inner, grad_bias_1 = chain(rows_times(grad, weight_2), slope)
        grad_weight_1 = weight_gradient(grad_inner, messages)
        grad_messages = rows_times(grad_inner, weight_1)
        return (
            grad_messages,
            grad,
            grad_weight_1,
            grad_bias_1,
            grad_weight_2,
            grad_bias_2,
            grad_next_weight,
        )


def _join(
    grad_out: Tensor | None, grad_ahead: Tensor | None, out: Tensor, next_weight: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Gradients of the residual stream and of the next layer's weight; nobody may use an output."""
    if grad_ahead is None:
        assert grad_out is not None, "autograd runs a function backward for a gradient it has"
        return grad_out.contiguous(), None
    grad_ahead = grad_ahead.contiguous()
    grad = rows_times(grad_ahead, next_weight)
    if grad_out is not None:
        grad.add_(grad_out)
    return grad, weight_gradient(grad_ahead, out)
