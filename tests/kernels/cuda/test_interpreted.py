"""The kernels' values and gradients, in Triton's interpreter on the CPU.

In processes of their own: Triton decides at import whether it interprets.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]


@pytest.mark.skipif(
    importlib.util.find_spec("triton") is None or sys.version_info < (3, 10),
    reason="Triton 3 is not installed; `make setup` installs it on Linux x86-64",
)
@pytest.mark.parametrize("file", sorted(path.name for path in (HERE / "values").glob("test_*.py")))
def test_kernels_in_the_interpreter(file):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", HERE / "values" / file],
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
