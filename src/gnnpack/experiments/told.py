"""Lines on the screen of a process that runs jobs, which perhaps nobody reads any more."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Iterator


@contextlib.contextmanager
def heard_or_not() -> Iterator[None]:
    """Print in here: a reader that has gone (``| head``) or a full disk ends nothing."""
    try:
        yield
    except BrokenPipeError:
        # What is left in the buffer would fail again, at the latest when Python ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except OSError:
        # Lost: there is nowhere to tell it.
        pass
