"""Whether the compiled CPU kernels can be used."""

from __future__ import annotations

import importlib.util
import logging
from functools import lru_cache

import torch
from torch import Tensor

log = logging.getLogger(__name__)


@lru_cache(maxsize=None)
def has_numba() -> bool:
    """Whether the compiled CPU kernels are there; without numba plain torch does the work."""
    return importlib.util.find_spec("numba") is not None


def serves(*tensors: Tensor) -> bool:
    """Whether compiled loops of float32 numbers take these: on a CPU, and outside of autocast."""
    if not has_numba() or _autocast():
        return False
    return all(t.device.type == "cpu" and t.dtype == torch.float32 for t in tensors)


def asks_for_bf16(weight: Tensor) -> bool:
    """Whether autocast asks for bfloat16 where compiled loops can round operands themselves.

    On a CPU, with numba and float32 weights; what is around the products is then float32.
    """
    if not has_numba() or not _autocast() or _autocast_type() != torch.bfloat16:
        return False
    return weight.device.type == "cpu" and weight.dtype == torch.float32


@lru_cache(maxsize=None)
def has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 numbers; where it does not, one warning says so."""
    from gnnpack.kernels.cpu_bf16 import has_instructions

    if not has_instructions():
        log.warning(
            "accelerator.precision=bf16-mixed: this processor has no instructions for bfloat16 "
            "(AVX-512 BF16), so the compiled network computes in float32, as with 32-true."
        )
    return has_instructions()


def _autocast() -> bool:
    try:
        return bool(torch.is_autocast_enabled("cpu"))
    except TypeError:  # torch before 2.4 has a function for each device
        return bool(torch.is_autocast_cpu_enabled())


def _autocast_type() -> torch.dtype:
    if hasattr(torch, "get_autocast_dtype"):  # from torch 2.4 on
        return torch.get_autocast_dtype("cpu")
    return torch.get_autocast_cpu_dtype()
