"""Whether the compiled CPU kernels can be used."""

from __future__ import annotations

import importlib.util
from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=None)
def has_numba() -> bool:
    """Whether the compiled CPU kernels are there; without numba plain torch does the work."""
    return importlib.util.find_spec("numba") is not None


def serves(*tensors: Tensor) -> bool:
    """Whether compiled loops of float32 numbers take these: on a CPU, and outside of autocast."""
    if not has_numba() or _autocast():
        return False
    return all(t.device.type == "cpu" and t.dtype == torch.float32 for t in tensors)


def _autocast() -> bool:
    try:
        return bool(torch.is_autocast_enabled("cpu"))
    except TypeError:  # torch before 2.4 has a function for each device
        return bool(torch.is_autocast_cpu_enabled())
