"""What the device can do at most: copies, matrix products, and the least time of a graph's node."""

from __future__ import annotations

from functools import partial
from typing import Any, Mapping

import torch

from gnnpack.bench.gpu_clock import DeviceClock, matmul_precision
from gnnpack.bench.gpu_settings import PRECISIONS, GPUSettings

ROOF = "roof"
NODES = 100


def measure_roof(settings: GPUSettings) -> dict[str, Any]:
    """Bytes a second of copies (read and written), FLOP a second by precision, seconds a node."""
    sizes, device = settings.sizes, settings.device
    clock = DeviceClock(device, settings.repeats)
    rates: dict[str, dict[str, float]] = {}
    for precision in PRECISIONS:
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        rates[precision] = {}
        with matmul_precision(precision):
            for rows, channels in sizes.products:
                left = torch.ones(rows, channels, dtype=dtype, device=device)
                right = torch.ones(channels, channels, dtype=dtype, device=device)
                out = torch.empty_like(left)
                call = partial(torch.mm, left, right, out=out)
                seconds = clock.replayed(call, calls_per_graph=3)["median"]
                rates[precision][f"{rows}x{channels}"] = 2 * rows * channels**2 / seconds
    one = torch.zeros(1, device=device)
    node = clock.replayed(partial(one.add_, 1.0), calls_per_graph=NODES)
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu, toy sizes",
        "copy_bytes_per_second": _copy_rate(clock, sizes.copy_bytes, device),
        "cache_copy_bytes_per_second": _copy_rate(clock, sizes.cache_bytes, device),
        "cache_bytes": _cache_bytes(device),
        "flop_per_second": rates,
        "node_seconds": node["median"],
    }


def percent_of_floor(
    roof: Mapping[str, Any] | None, seconds: float, *, flop: float, bytes: float, precision: str
) -> float | None:
    """How much of ``seconds`` the operations or the bytes have to take, the longer of both.

    Bytes at the rate of the cache where they all fit into it. None without a roof.
    """
    if roof is None:
        return None
    fits = bytes <= roof["cache_bytes"]
    bandwidth = roof["cache_copy_bytes_per_second" if fits else "copy_bytes_per_second"]
    rate = max(roof["flop_per_second"][precision].values())
    return float(100 * max(flop / rate, bytes / bandwidth) / seconds)


def _copy_rate(clock: DeviceClock, num_bytes: int, device: str) -> float:
    source = torch.ones(num_bytes // 4, device=device)
    target = torch.empty_like(source)
    seconds = clock.replayed(partial(target.copy_, source), calls_per_graph=3)["median"]
    return 2 * source.numel() * source.element_size() / seconds


def _cache_bytes(device: str) -> int:
    """Of the device's second-level cache."""
    if device != "cuda":
        return 0
    return int(getattr(torch.cuda.get_device_properties(0), "L2_cache_size", 0))
