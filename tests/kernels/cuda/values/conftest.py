"""Values and gradients of the kernels: on a GPU, or in Triton's interpreter on the CPU.

Triton decides at import whether it interprets, so a process does one or the other. Without a GPU
these files are collected in the process that tests/kernels/cuda/test_interpreted.py starts.
"""

from __future__ import annotations

import importlib.util
import os

import pytest
import torch

from gnnpack.kernels.cuda import unavailable

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
HAS_TRITON = importlib.util.find_spec("triton") is not None

# cuBLAS is deterministic only with a workspace of fixed size.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

if not (INTERPRETED and HAS_TRITON) and unavailable() is not None:
    collect_ignore_glob = ["test_*.py"]


def loop_bounds_from_one_element_arrays() -> None:
    """Let the interpreter loop to a tensor under numpy >= 2.4 (triton issue 9171).

    It converts a bound with int(array), which numpy now refuses for an array of one element.
    """
    from triton.runtime import interpreter

    patch = interpreter._patch_lang_tensor

    def patch_and_correct(tensor, scope):
        patch(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    interpreter._patch_lang_tensor = patch_and_correct


if INTERPRETED and HAS_TRITON:
    loop_bounds_from_one_element_arrays()


@pytest.fixture
def device() -> torch.device:
    return torch.device("cpu" if INTERPRETED else "cuda")


@pytest.fixture(autouse=True)
def _poisoned_and_deterministic():
    """Fresh memory is NaN, or the largest integer; an operation without a fixed order raises."""
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    yield
    torch.use_deterministic_algorithms(False)
