"""The console commands in this process, in an empty folder."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from tests.run.conftest import SMALL


@pytest.fixture
def folder(tmp_path, tmp_path_factory, monkeypatch) -> Path:
    """An empty working folder without data, and devices that no other sweep of this user holds."""
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("devices")))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GNNPACK_DATA", raising=False)
    return tmp_path


@pytest.fixture
def gnnpack(folder, monkeypatch):
    """Run `gnnpack ARGUMENTS`."""
    from gnnpack.commands.main import main

    def call(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["gnnpack", *arguments])
        GlobalHydra.instance().clear()
        main()

    return call


@pytest.fixture
def train(gnnpack):
    """`gnnpack train` with the small settings first."""

    def call(*arguments: str) -> None:
        flags = [argument for argument in arguments if argument.startswith("-")]
        gnnpack("train", *flags, *SMALL, *(a for a in arguments if a not in flags))

    return call


@pytest.fixture
def trained(train, folder) -> Path:
    """The folder of a finished run."""
    train()
    return next(folder.glob("outputs/*/*"))
