"""Shifted softplus, each way in one kernel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gnnpack.kernels.cuda.launch import ELEMENTS_PER_PROGRAM, programs
from gnnpack.kernels.cuda.rows import check_storage


def shifted_softplus(inputs: Tensor) -> Tensor:
    """log(1 + exp(x)) - ln 2 of every element, in the input's type (arXiv 1706.08566, section 4.1).

    Computed in float32. Differentiable once.

    Raises:
        ValueError: neither float32, float16 nor bfloat16.
    """
    check_storage(inputs=inputs)
    out: Tensor = _ShiftedSoftplus.apply(inputs)  # type: ignore[no-untyped-call]
    return out


class _ShiftedSoftplus(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor) -> Tensor:
        from gnnpack.kernels.cuda.softplus_kernels import softplus_forward

        inputs = inputs.contiguous()
        ctx.save_for_backward(inputs)
        out = torch.empty_like(inputs)
        count = inputs.numel()
        softplus_forward[(programs(count, ELEMENTS_PER_PROGRAM),)](
            inputs, out, count, TILE=ELEMENTS_PER_PROGRAM
        )
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return softplus_gradient(ctx.saved_tensors[0], grad)


def softplus_gradient(inputs: Tensor, grad: Tensor) -> Tensor:
    """grad * sigmoid(inputs)."""
    return _backward(inputs, grad, None)


def softplus_and_gradient(inputs: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """The activation once more, which is cheaper than to have kept it, and its gradient."""
    out = torch.empty_like(inputs)
    return out, _backward(inputs, grad, out)


def _backward(inputs: Tensor, grad: Tensor, out: Tensor | None) -> Tensor:
    from gnnpack.kernels.cuda.softplus_kernels import softplus_backward

    assert inputs.is_contiguous(), "elements lie in the same places of all tensors"
    grad_inputs = torch.empty_like(inputs)
    count = inputs.numel()
    softplus_backward[(programs(count, ELEMENTS_PER_PROGRAM),)](
        inputs,
        grad.contiguous(),
        grad_inputs,
        grad_inputs if out is None else out,
        count,
        VALUES=out is not None,
        TILE=ELEMENTS_PER_PROGRAM,
    )
    return grad_inputs
