"""The one place PopTorch comes from: the real one, or the emulator under the same names."""

from __future__ import annotations

from typing import Any

HOW_TO_GET_IT = """accelerator=ipu needs PopTorch, which cannot be imported here ({reason}).
Three steps:
  1. get Graphcore's Poplar SDK 3.3 or 3.4 and `source` its enable script;
  2. make setup-ipu POPLAR_SDK=/path/to/sdk   (Python 3.8, torch 2.0.1, the SDK's PopTorch wheel);
  3. .venv-ipu/bin/python train.py accelerator=ipu ...
Without an IPU, accelerator=ipu_emulator runs the same configuration on this computer: it tells \
whether it would trace, what a combined batch is, and whether it is likely to fit."""


def load_poptorch(emulated: bool) -> Any:
    """The module ``poptorch``, or what has its names.

    Raises:
        ValueError: PopTorch is asked for and is not here, or is of another torch.
    """
    if emulated:
        from gnnpack.accelerators import ipu_emulator

        return ipu_emulator
    try:
        import poptorch
    except (ImportError, AssertionError, OSError) as error:
        # An assertion where torch is not the one it was built for, OSError where libraries lack.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(HOW_TO_GET_IT.format(reason=reason)) from error
    return poptorch
