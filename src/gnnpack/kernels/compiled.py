"""Whether numba is here, and its thread count."""

from __future__ import annotations

import importlib.util
from functools import lru_cache

import torch


@lru_cache(maxsize=None)
def has_numba() -> bool:
    """Whether the compiled CPU kernels can be used; without numba plain torch does the work."""
    return importlib.util.find_spec("numba") is not None


def match_torch_threads() -> None:
    """Let numba use as many threads as torch, so that both respect one setting."""
    import numba  # optional: absent where only plain torch is wanted

    most: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    numba.set_num_threads(min(torch.get_num_threads(), most))
