"""The rooms an IPU run passes through must stay importable on Python 3.8."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


# pyenv's python3.8 answers only where its version is chosen; others ignore the variable.
ENVIRONMENT = {**os.environ, "PYENV_VERSION": "3.8"}


def python38() -> str:
    found = shutil.which("python3.8")
    if (
        found is None
        or subprocess.run([found, "-V"], capture_output=True, env=ENVIRONMENT).returncode
    ):
        pytest.skip("there is no python3.8 here; ruff's target-version checks the syntax too")
    return found


def test_every_module_compiles_on_python_3_8(tmp_path):
    # Into its own folder: the tree may be read-only, and 3.8's caches are of no use.
    copy = shutil.copytree(ROOT / "src", tmp_path / "src")
    done = subprocess.run(
        [python38(), "-m", "compileall", "-q", str(copy)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_targets_python_3_8():
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^target-version = "py38"$', settings, re.MULTILINE)
    assert re.search(r'^requires-python = ">=3\.8"$', settings, re.MULTILINE)


def test_every_module_leaves_annotations_unevaluated():
    # Without it `int | None` in a signature fails on import there, which compiling does not show.
    for file in sorted((ROOT / "src").rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if re.search(r"^(def|class|    def) ", text, re.MULTILINE):
            assert "from __future__ import annotations" in text, file
