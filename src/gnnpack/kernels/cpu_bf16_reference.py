"""A dense layer of factors rounded to bfloat16 in plain torch, for what `cpu_bf16` computes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def rounded_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x weight^T + bias, (A, O), as torch's `linear`, but products are of rounded factors.

    So are those of the backward pass; sums, the bias and its gradient keep the type they have.

    Args:
        x: (A, I) float32 or float64.
        weight: (O, I).
        bias: (O,).
    """
    out: Tensor = _Product.apply(x, weight)  # type: ignore[no-untyped-call]
    return out if bias is None else out + bias


def _rounded(x: Tensor) -> Tensor:
    return x.to(torch.bfloat16).to(x.dtype)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _rounded(x) @ _rounded(weight).t()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        grad = _rounded(grad)
        return grad @ _rounded(weight), grad.t() @ _rounded(x)
