"""The matrix products of a dense layer, by the faster of the libraries torch brings.

On a CPU torch multiplies float32 matrices with MKL. oneDNN, which torch has for convolutions and
for its compiler, is faster where the processor has AVX-512: measured on an AMD EPYC with full-width
units, 1.7 times, as MKL keeps to AVX2 on AMD. `gnnpack bench` prints the rates of both.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.grad import conv2d_weight


def rows_times_transposed(x: Tensor, weight: Tensor) -> Tensor:
    """x (A, I) times weight (O, I) transposed, (A, O): a dense layer without its bias."""
    if _use_onednn(x):
        # The call torch's compiler makes for a dense layer.
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
        return out
    return torch.mm(x, weight.t())


def dense_residual(x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor) -> Tensor:
    """residual (A, O) + x (A, I) times weight (O, I) transposed + bias (O,): one pass over each."""
    if _use_onednn(x):
        onednn = torch.ops.mkldnn._linear_pointwise.binary
        out: Tensor = onednn(x, residual, weight, bias, "add")
        return out
    return torch.mm(x, weight.t()).add_(bias).add_(residual)


def rows_times(grad: Tensor, weight: Tensor) -> Tensor:
    """grad (A, O) times weight (O, I), (A, I): the gradient with respect to the layer's input."""
    if _use_onednn(grad):
        return rows_times_transposed(grad, weight.t().contiguous())
    return torch.mm(grad, weight)


def weight_gradient(grad: Tensor, x: Tensor) -> Tensor:
    """grad (A, O) transposed times x (A, I), (O, I)."""
    if _use_onednn(grad):
        # The same sum as the weight's gradient of a 1 x 1 convolution over A places, which oneDNN
        # takes as it lies in memory.
        shape = grad.shape[1], x.shape[1], 1, 1
        out: Tensor = conv2d_weight(_places(x), shape, _places(grad))  # type: ignore[no-untyped-call]
        return out.view(shape[:2])
    return torch.mm(grad.t(), x)


def _places(rows: Tensor) -> Tensor:
    """(A, C) as an image (1, C, A, 1) whose channels lie together; nothing is copied."""
    return rows.view(1, rows.shape[0], 1, rows.shape[1]).permute(0, 3, 1, 2)


def _use_onednn(x: Tensor) -> bool:
    return x.dtype == torch.float32 and x.device.type == "cpu" and x.numel() > 0 and _onednn_wins()


@lru_cache(maxsize=None)
def _onednn_wins() -> bool:
    try:
        if torch.backends.cpu.get_cpu_capability() != "AVX512":
            return False
        ones = torch.ones(2, 2)
        product = torch.ops.mkldnn._linear_pointwise(ones, ones, None, "none", [], "")
        joined = torch.ops.mkldnn._linear_pointwise.binary(ones, ones, ones, ones[0], "add")
        return bool(torch.equal(product, 2 * ones) and torch.equal(joined, 4 * ones))
    except (AttributeError, RuntimeError, TypeError):
        # A torch without oneDNN, or one that calls it otherwise.
        return False
