"""The tail of an interaction block: two layers and the residual, forward in one kernel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gnnpack.kernels.cuda.launch import dot_precision, power_of_two, programs, tail_tiles
from gnnpack.kernels.cuda.rows import check_storage, empty_rows_like, readable_rows
from gnnpack.kernels.cuda.softplus import softplus_and_gradient

# A atom slots, C filters, H hidden channels, F channels of the residual stream


def tail(
    messages: Tensor, residual: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor
) -> Tensor:
    """residual + w2 ssp(w1 messages + b1) + b2, (A, F) in the residual's type.

    Args:
        messages: (A, C); their type is the one that products are made in.
        residual: (A, F).
        w1, b1: (H, C), (H,), as nn.Linear has them.
        w2, b2: (F, H), (F,).

    Float32 products use TF32 unless torch.get_float32_matmul_precision() is "highest"; sums are
    float32. Differentiable once.

    Raises:
        ValueError: shapes that do not fit each other, or a type the kernels do not read.
    """
    _check(messages, residual, w1, b1, w2, b2)
    out: Tensor = _Tail.apply(messages, residual, w1, b1, w2, b2)  # type: ignore[no-untyped-call]
    return out


class _Tail(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        messages: Tensor,
        residual: Tensor,
        w1: Tensor,
        b1: Tensor,
        w2: Tensor,
        b2: Tensor,
    ) -> Tensor:
        messages = readable_rows(messages)
        hidden, out = _tail_forward(messages, readable_rows(residual), w1, b1, w2, b2)
        ctx.save_for_backward(messages, hidden, w1, w2)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        messages, hidden, w1, w2 = ctx.saved_tensors
        dtype = messages.dtype
        narrow = grad.to(dtype)
        activation, grad_hidden = softplus_and_gradient(hidden, narrow @ w2.to(dtype))
        # Into wide rows: the convolution reads them next, once for every neighbour.
        grad_messages = empty_rows_like(messages)
        torch.mm(grad_hidden, w1.to(dtype), out=grad_messages)
        grad_w1 = (grad_hidden.t() @ messages).to(w1.dtype)
        grad_w2 = (narrow.t() @ activation).to(w2.dtype)
        # Bias gradients are sums over all atoms: float32 also where the terms are not.
        grad_b1 = grad_hidden.sum(0, dtype=torch.float32).to(w1.dtype)
        grad_b2 = grad.sum(0, dtype=torch.float32).to(w2.dtype)
        return grad_messages, grad, grad_w1, grad_b1, grad_w2, grad_b2


def _tail_forward(
    messages: Tensor, residual: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor
) -> tuple[Tensor, Tensor]:
    """The hidden layer before its activation, (A, H), and the result."""
    from gnnpack.kernels.cuda.tail_kernels import tail_forward

    precision = dot_precision()
    num_rows, (num_hidden, num_filters) = messages.shape[0], w1.shape
    num_channels = residual.shape[1]
    tiles = tail_tiles(num_rows, num_channels, precision)
    hidden = messages.new_empty(num_rows, num_hidden)
    out = torch.empty(num_rows, num_channels, dtype=residual.dtype, device=residual.device)
    w1, w2 = readable_rows(w1), readable_rows(w2)
    tail_forward[(programs(num_rows, tiles.rows),)](
        messages,
        residual,
        w1,
        b1.contiguous(),
        w2,
        b2.contiguous(),
        hidden,
        out,
        num_rows,
        MESSAGE_STRIDE=messages.stride(0),
        RESIDUAL_STRIDE=residual.stride(0),
        W1_STRIDE=w1.stride(0),
        W2_STRIDE=w2.stride(0),
        FILTERS=num_filters,
        HIDDEN=num_hidden,
        CHANNELS=num_channels,
        ROW_TILE=tiles.rows,
        FILTER_TILE=max(min(tiles.filters, power_of_two(num_filters)), 16),
        HIDDEN_TILE=max(min(tiles.hidden, power_of_two(num_hidden)), 16),
        CHANNEL_TILE=max(power_of_two(num_channels), 16),
        PRECISION=precision,
        num_warps=tiles.warps,
    )
    return hidden, out


def _check(
    messages: Tensor, residual: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor
) -> None:
    check_storage(messages=messages, residual=residual, w1=w1, w2=w2)
    filters, hidden, channels = messages.shape[1], w1.shape[0], residual.shape[1]
    found = [tuple(tensor.shape) for tensor in (w1, b1, w2, b2)]
    wanted = [(hidden, filters), (hidden,), (channels, hidden), (channels,)]
    if found != wanted or messages.shape[0] != residual.shape[0]:
        raise ValueError(
            f"messages {tuple(messages.shape)} and residual {tuple(residual.shape)} need as many "
            f"rows as each other and layers of shapes {wanted}; these are {found}."
        )
