"""Python 3.8, PopTorch's: all compiles there, and `make setup-ipu` installs what fits."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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
    copies = [shutil.copytree(ROOT / name, tmp_path / name) for name in ("src", "tests")]
    done = subprocess.run(
        [python38(), "-m", "compileall", "-q", *map(str, copies)],
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


# --- make setup-ipu ---


def pins() -> dict[str, str]:
    """Package -> version of constraints-ipu.txt."""
    lines = (ROOT / "constraints-ipu.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def asked_for() -> list[Requirement]:
    """What the package and the extras that `make setup-ipu` names ask for."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = []
    for name in ("dependencies", "ipu", "qm9", "pyg"):
        block = re.search(rf"^{name} = \[(.*?)\]\n", text, re.MULTILINE | re.DOTALL)
        assert block is not None, name
        found += [Requirement(quoted) for quoted in re.findall(r'"([^"]+)"', block[1])]
    return found


@pytest.mark.parametrize("requirement", asked_for(), ids=str)
def test_a_pin_lies_in_the_range_asked_for(requirement):
    assert pins()[requirement.name] in requirement.specifier


def test_nothing_called_poptorch_may_come_from_a_registry():
    assert "poptorch" not in pins()
    assert all("poptorch" not in requirement.name for requirement in asked_for())


STUB = """#!/bin/sh
echo "$@" >> calls
case "$1 $2" in
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
esac
"""


@pytest.fixture
def make(tmp_path):
    """`make setup-ipu` in a folder apart, with a Python that only notes what it is asked."""
    if shutil.which("make") is None:
        pytest.skip("there is no make here")
    for name in ("Makefile", "pyproject.toml", "constraints-ipu.txt"):
        shutil.copy(ROOT / name, tmp_path)
    stub = tmp_path / "python-stub"
    stub.write_text(STUB)
    stub.chmod(0o755)

    def make(**variables: str) -> tuple[int, str, str]:
        """Exit status, what was said, what Python was asked."""
        variables = {"PYTHON38": str(stub), "POPLAR_SDK": "", **variables}
        done = subprocess.run(
            ["make", "setup-ipu", *(f"{name}={value}" for name, value in variables.items())],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        calls = tmp_path / "calls"
        asked = calls.read_text() if calls.exists() else ""
        calls.write_text("")
        return done.returncode, done.stdout + done.stderr, asked

    return make


@pytest.mark.skipif(sys.version_info[:2] == (3, 8), reason="this Python is 3.8")
def test_another_python_is_refused(make):
    status, said, _ = make(PYTHON38=sys.executable)
    assert status != 0
    assert re.search(r"needs Python 3\.8.* is 3\.\d+\..*PYTHON38=", said)


def test_a_python_that_is_not_there_is_told_with_the_cure(make, tmp_path):
    status, said, _ = make(PYTHON38=str(tmp_path / "none"))
    assert status != 0
    assert re.search(r"none does not start\. Name a Python 3\.8: make setup-ipu PYTHON38=", said)


def test_without_the_sdk_it_says_what_will_run_and_is_done_once(make):
    status, said, asked = make()
    assert status == 0
    assert "only accelerator=ipu_emulator will run" in said
    assert "--constraint constraints-ipu.txt" in asked
    assert make()[2] == "", "the stamp did not hold"


def test_the_wheel_for_python_3_8_is_taken_also_later(make, tmp_path):
    sdk = tmp_path / "sdk"
    sdk.mkdir()
    for tag in ("cp38", "cp310"):
        (sdk / f"poptorch-3.3.0-{tag}-{tag}-linux_x86_64.whl").touch()
        (sdk / f"poptorch_geometric-3.3.0-{tag}-{tag}-linux_x86_64.whl").touch()
    make()
    status, said, asked = make(POPLAR_SDK=str(sdk))
    wheel = "poptorch-3.3.0-cp38-cp38-linux_x86_64.whl"
    assert status == 0
    assert f"has {wheel}" in said
    assert f" {sdk}/{wheel}\n" in asked
    assert "cp310" not in asked
    assert "geometric" not in asked


def test_an_sdk_without_the_wheel_is_refused(make, tmp_path):
    status, said, asked = make(POPLAR_SDK=str(tmp_path))
    assert status != 0
    assert f"no poptorch-*-cp38-*.whl in POPLAR_SDK={tmp_path}" in said
    assert "install" not in asked
