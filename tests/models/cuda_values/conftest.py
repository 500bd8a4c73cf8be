"""The CUDA path of the models: on a GPU, or in Triton's interpreter, as the kernels' own tests.

Without a GPU these files are collected in the process that tests/models/test_cuda_path.py starts.
"""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import _disable_current_modes, _get_current_dispatch_mode

from gnnpack.models import SchNet, cuda_path
from tests.kernels.cuda.values import conftest as kernels

collect_ignore_glob = getattr(kernels, "collect_ignore_glob", [])
device = kernels.device
_poisoned_and_deterministic = kernels._poisoned_and_deterministic


def elements_unchecked(self, batch):
    return torch.where(batch.atom_mask, batch.z, 0).view(-1)


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """CPU tensors take the CUDA path, and a launch is one kernel to modes that watch or record.

    The check of atomic numbers is the CPU's own, so it is left out.
    """
    monkeypatch.setattr(cuda_path, "serves", lambda weight: True)
    monkeypatch.setattr(SchNet, "_elements", elements_unchecked)
    if not kernels.INTERPRETED:
        return
    from triton.runtime.interpreter import InterpretedFunction

    run = InterpretedFunction.run

    def launch_and_tell(self, *arguments, grid, warmup, **options):
        def launch(*arguments, **options):
            # The interpreter's own copies are no kernels.
            with _disable_current_modes():
                run(self, *arguments, grid=grid, warmup=warmup, **options)

        mode = _get_current_dispatch_mode()
        if hasattr(mode, "kernels"):
            mode.kernels.append((launch, arguments, options, []))
        launch(*arguments, **options)

    monkeypatch.setattr(InterpretedFunction, "run", launch_and_tell)
