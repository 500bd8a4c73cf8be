"""Whether the Triton kernels can run here."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sysconfig
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import torch

# Ampere: the oldest device the kernels are compiled for in the tests.
OLDEST_CAPABILITY = (8, 0)
OLDEST_TRITON = 3


@lru_cache(maxsize=None)
def unavailable() -> str | None:
    """One sentence why the Triton kernels cannot be used here, with the cure; None = they can."""
    return _missing_device() or _missing_triton() or _missing_compiler()


def _missing_device() -> str | None:
    if not torch.cuda.is_available():
        return "torch sees no CUDA device, so the Triton kernels are not used."
    capability = torch.cuda.get_device_capability()
    if capability < OLDEST_CAPABILITY:
        return (
            f"{torch.cuda.get_device_name()} has compute capability {capability[0]}."
            f"{capability[1]}; the Triton kernels need {OLDEST_CAPABILITY[0]}."
            f"{OLDEST_CAPABILITY[1]} (Ampere) or newer."
        )
    return None


def _missing_triton() -> str | None:
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed; the CUDA builds of torch bring it: pip install triton."
    found = version("triton")
    if int(found.split(".")[0]) < OLDEST_TRITON:
        return f"Triton {found} is too old for the kernels: pip install 'triton>={OLDEST_TRITON}'."
    return None


def _missing_compiler() -> str | None:
    # Triton builds one small C launcher per kernel signature on the machine it runs on.
    compiler = os.environ.get("CC")
    if compiler is not None and shutil.which(compiler.split(" ")[0]) is None:
        return (
            f"Triton needs a C compiler and CC is {compiler!r}, which is none: correct or unset CC."
        )
    if compiler is None and not (shutil.which("gcc") or shutil.which("clang")):
        return "Triton needs a C compiler and there is none: install gcc, or name one in CC."
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    if not header.is_file():
        return f"Triton needs {header}, which is missing: install Python's headers (python3-dev)."
    return None
