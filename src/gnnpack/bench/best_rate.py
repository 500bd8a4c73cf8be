"""The best rate of matrix products of a device, measured in a blink: what a run's floor needs."""

from __future__ import annotations

import time
from functools import partial
from typing import Callable

import torch

# Rows and columns of a product as large as rates grow with; on a CPU, on a GPU in float32 and
# float64, and on a GPU in narrower types.
LARGE_CPU, LARGE_GPU, LARGE_GPU_NARROW = 512, 4096, 8192


def best_rate(
    device: torch.device | str,
    rows: int,
    channels: int,
    dtype: torch.dtype = torch.float32,
    *,
    seconds: float = 0.3,
) -> float:
    """FLOP a second of the best of a layer's three products and of one of large matrices.

    The layer's: (rows, channels) by (channels, channels), and its gradients with respect to input
    and weight. float32 products are made as torch is told to at the moment (TF32 or not).

    Args:
        seconds: to take, about; each product is made twice at least.
    """
    device = torch.device(device)
    products = _products(device, rows, channels, dtype)
    share = seconds / len(products)
    return max(flop / _least_seconds(call, device, share) for call, flop in products)


def _least_seconds(call: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Of calls that take so long together, the first one left out."""
    call()
    _wait(device)
    least, begun = float("inf"), time.perf_counter()
    last = begun
    while least == float("inf") or last - begun < seconds:
        call()
        _wait(device)
        now = time.perf_counter()
        least, last = min(least, now - last), now
    return least


def _products(
    device: torch.device, rows: int, channels: int, dtype: torch.dtype
) -> list[tuple[Callable[[], object], int]]:
    """Calls and their FLOP."""
    # Not ones: of equal numbers a device draws less power, and may be faster. A generator of its
    # own leaves a training's random numbers alone.
    generator = torch.Generator(device).manual_seed(0)

    def make(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, device=device).to(dtype)

    x, weight = make(rows, channels), make(channels, channels)
    narrow = torch.finfo(dtype).bits < 32
    size = (LARGE_GPU_NARROW if narrow else LARGE_GPU) if device.type == "cuda" else LARGE_CPU
    large = make(size, size)
    flop = 2 * rows * channels * channels
    return [
        (partial(torch.mm, x, weight.t()), flop),
        (partial(torch.mm, x, weight), flop),
        (partial(torch.mm, x.t(), x), flop),
        (partial(torch.mm, large, large), 2 * size**3),
    ]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
