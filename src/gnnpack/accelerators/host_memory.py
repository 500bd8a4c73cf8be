"""Memory of a CPU run is kept between updates instead of being given back and asked for again."""

from __future__ import annotations

import ctypes

# Names of malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let malloc keep what is freed; whether it could be told.

    Every update of fixed-shape batches asks for the same tensors again. GNU malloc hands large ones
    back to the system at once, and the system has to clear each page when it gives it out anew.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False  # not GNU's: another C library, or another system
    return all(set_option(option, LARGEST) for option in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD))
