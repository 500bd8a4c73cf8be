from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import datetime

import numpy as np
import pytest

from gnnpack.tracking import run_record, write_json
from gnnpack.tracking.run_record import git_state


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True)


def test_record_holds_what_made_the_run(tmp_path):
    record = run_record(seeds={"seed": 3}, data={"sha256": "ab"}, argv=["train.py", "seed=3"])
    assert record["seeds"] == {"seed": 3}
    assert record["data"] == {"sha256": "ab"}
    assert record["argv"] == ["train.py", "seed=3"]
    assert {"gnnpack", "torch", "numpy", "python"} <= set(record["versions"])
    assert record["machine"]["cores"] >= 1
    assert record["machine"]["memory_bytes"] > 0
    assert datetime.fromisoformat(record["started"]).tzinfo is not None
    write_json(tmp_path / "run.json", record)
    assert platform.node() not in json.dumps(json.loads((tmp_path / "run.json").read_text()))


def test_commit_and_dirty_in_a_repository(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("one")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-q", "-m", "one")
    state = git_state(tmp_path)
    assert len(state["commit"]) == 40
    assert state["dirty"] is False
    (tmp_path / "code.py").write_text("two")
    assert git_state(tmp_path) == {"commit": state["commit"], "dirty": True}
    installed = tmp_path / "site-packages"
    installed.mkdir()
    assert git_state(installed) == {"commit": None, "dirty": None}


def test_outside_a_repository_both_are_none(tmp_path):
    assert git_state(tmp_path) == {"commit": None, "dirty": None}


def test_numpy_and_paths_become_plain(tmp_path):
    obj = {"a": np.float32(0.5), "b": np.arange(2), "c": tmp_path, "d": (np.bool_(True), None)}
    write_json(tmp_path / "x.json", obj)
    read = json.loads((tmp_path / "x.json").read_text())
    assert read == {"a": 0.5, "b": [0, 1], "c": str(tmp_path), "d": [True, None]}


@pytest.mark.parametrize(
    "bad, key",
    [
        ({"m": {"test_mae": float("nan")}}, "m.test_mae is nan"),
        ({"l": [1.0, np.float64("inf")]}, r"l\[1\] is inf"),
        ({"o": object()}, "o for .* is a object"),
    ],
)
def test_values_json_cannot_hold_are_named(tmp_path, bad, key):
    with pytest.raises(ValueError, match=key):
        write_json(tmp_path / "x.json", bad)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number, cure", [(28, "free some space"), (30, "read-only")])
def test_a_failing_write_keeps_the_old_file(tmp_path, monkeypatch, number, cure):
    file = tmp_path / "x.json"
    write_json(file, {"a": 1})

    def fail(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=cure) as caught:
        write_json(file, {"a": 2})
    assert str(file) in str(caught.value)
    assert json.loads(file.read_text()) == {"a": 1}
    assert os.listdir(tmp_path) == ["x.json"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="create it first"):
        write_json(tmp_path / "none" / "x.json", {})
