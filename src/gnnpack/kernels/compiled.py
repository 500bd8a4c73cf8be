"""Whether numba is here."""

from __future__ import annotations

import importlib.util
from functools import lru_cache


@lru_cache(maxsize=None)
def has_numba() -> bool:
    """Whether the compiled CPU kernels can be used; without numba plain torch does the work."""
    return importlib.util.find_spec("numba") is not None
