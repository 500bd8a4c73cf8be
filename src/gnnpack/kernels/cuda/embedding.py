"""Embedding whose gradient is a matrix product."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def embed(z: Tensor, weight: Tensor) -> Tensor:
    """weight[z], (..., F).

    Args:
        z: atomic numbers, integers in [0, num_elements), any shape. Not checked: a check would
            wait for the device.
        weight: (num_elements, F).

    nn.Embedding's own gradient sorts and waits for the device above 3,072 indices (pytorch issue
    82886), so no CUDA graph can hold it; here it is one_hot(z)^T @ grad, always in one order.
    """
    out: Tensor = _Embedding.apply(z, weight)  # type: ignore[no-untyped-call]
    return out


class _Embedding(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        ctx.num_elements = weight.shape[0]
        return weight.index_select(0, z.reshape(-1)).view(*z.shape, weight.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        (z,) = ctx.saved_tensors
        # Not torch.nn.functional.one_hot: it waits for the device to check the range.
        elements = torch.arange(ctx.num_elements, device=z.device)
        one_hot = (z.reshape(-1, 1) == elements).to(grad.dtype)
        return None, one_hot.t() @ grad.reshape(-1, grad.shape[-1])
