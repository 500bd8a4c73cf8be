# mypy: disable-error-code="no-untyped-def,untyped-decorator"
"""Triton kernels of the shifted softplus; import only where Triton is present."""

from __future__ import annotations

import triton
import triton.language as tl

# Python's float ln 2 becomes float32 in the kernel: PyG's own rounding of it.
LN2: tl.constexpr = tl.constexpr(0.6931471805599453)


@triton.jit
def shifted(x):
    """softplus(x) - ln 2 without overflow; log1p is missing in Triton, its error below one ulp."""
    return tl.maximum(x, 0.0) + tl.log(1.0 + tl.exp(-tl.abs(x))) - LN2


@triton.jit
def softplus_forward(inputs, out, count, TILE: tl.constexpr):
    place = tl.program_id(0) * TILE + tl.arange(0, TILE)
    x = tl.load(inputs + place, mask=place < count, other=0.0).to(tl.float32)
    tl.store(out + place, shifted(x), mask=place < count)


@triton.jit
def softplus_backward(
    inputs, grad, grad_inputs, out, count, VALUES: tl.constexpr, TILE: tl.constexpr
):
    """grad * sigmoid(inputs); with VALUES the activation too."""
    place = tl.program_id(0) * TILE + tl.arange(0, TILE)
    inside = place < count
    x = tl.load(inputs + place, mask=inside, other=0.0).to(tl.float32)
    g = tl.load(grad + place, mask=inside, other=0.0).to(tl.float32)
    decay = tl.exp(-tl.abs(x))
    tl.store(grad_inputs + place, g * tl.where(x >= 0, 1.0, decay) / (1.0 + decay), mask=inside)
    if VALUES:
        tl.store(out + place, tl.maximum(x, 0.0) + tl.log(1.0 + decay) - LN2, mask=inside)
