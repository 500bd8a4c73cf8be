"""The shifted softplus of SchNet, ln(1 + e^x) - ln 2 (arXiv 1706.08566, section 4.1)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from gnnpack.kernels.compiled import has_numba

# ln 2 rounded to float32, as PyG has it: in float64 too, equal weights then give equal energies.
LN2 = float(torch.log(torch.tensor(2.0)))


def shifted_softplus(x: Tensor, bias: Tensor | None = None, *, compiled: bool = True) -> Tensor:
    """softplus(x + bias) - ln 2, which is 0 at 0.

    Args:
        x: (..., F).
        bias: (F,).
        compiled: use the numba kernel where it serves (float32 on a CPU): one pass makes value and
            derivative; False is the plain-torch reference.
    """
    if compiled and bias is not None and serves(x):
        out: Tensor = _Compiled.apply(x, bias)  # type: ignore[no-untyped-call]
        return out
    return F.softplus(x if bias is None else x + bias).sub_(LN2)


def serves(x: Tensor) -> bool:
    """Whether the compiled kernel takes ``x``: (A, F) float32 on a CPU that has numba."""
    return x.device.type == "cpu" and x.dtype == torch.float32 and x.dim() == 2 and has_numba()


def value_and_slope(x: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Shifted softplus of x + bias, in the place of ``x`` (A, F), and its slope, the sigmoid."""
    from gnnpack.kernels import cpu_softplus

    assert x.is_contiguous(), "the loops count from a row's start"
    return x, cpu_softplus.value_and_slope(x, bias.contiguous())


def chain(grad: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """grad * slope, in the place of ``grad`` (A, F), and its sum over rows (F,): the bias's."""
    from gnnpack.kernels import cpu_softplus

    assert all(t.is_contiguous() for t in (grad, slope)), "the loops count from a row's start"
    return grad, cpu_softplus.multiply_and_sum(grad, slope)


class _Compiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor) -> Tensor:
        out, slope = value_and_slope(x.clone(memory_format=torch.contiguous_format), bias)
        ctx.save_for_backward(slope)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        (slope,) = ctx.saved_tensors
        return chain(grad.clone(memory_format=torch.contiguous_format), slope)
