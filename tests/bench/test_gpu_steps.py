"""Every step of the GPU benchmark at toy size on the CPU, kernels in Triton's interpreter."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gnnpack.bench.gpu_molecules import DENSITY, count_pairs, droplets, packed_batch
from gnnpack.bench.gpu_roof import percent_of_floor
from gnnpack.bench.gpu_settings import GPUSettings
from gnnpack.bench.gpu_steps import gpu_steps
from gnnpack.commands.bench_gpu import Arguments, main, parse_settings

ROOT = Path(__file__).resolve().parents[2]
# The interpreter's loops need the correction that the kernels' own tests have.
PROGRAM = """
import sys
import tests.kernels.cuda.values.conftest
from gnnpack.commands.bench_gpu import main
main()
"""
TOY = ("device=cpu", "dataset=synthetic", "repeats=1")


@pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="Triton is not installed; `make setup` installs it on Linux x86-64",
)
@pytest.mark.slow
def test_every_step_measures_something_and_the_second_call_nothing(tmp_path):
    arguments = [*TOY, f"data_dir={tmp_path / 'data'}", f"out={tmp_path / 'out'}"]
    said = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PROGRAM, *arguments],
            cwd=ROOT,
            env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        for _ in range(2)
    ]
    assert [done.returncode for done in said] == [0, 0], said[0].stderr + said[1].stderr
    lines = [json.loads(line) for line in said[0].stdout.splitlines() if line.startswith("{")]
    errors = {line["name"]: line["error"] for line in lines if "error" in line}
    if importlib.util.find_spec("torch_geometric") is None:
        errors.pop("pyg")
    assert not errors
    wanted = [step.name for step in gpu_steps(GPUSettings(device="cpu"), lambda *_: {})]
    assert [line["name"] for line in lines] == wanted
    for line in lines:
        if line["name"].startswith("check"):
            assert line["result"]["passed"], line
        if line["name"].startswith("epochs"):
            assert line["result"]["train_molecules_per_second"] > 0
        if line["name"] == "learning":
            assert [one["updates"] for one in line["result"]["curve"]] == [7, 14, 21]
    assert not any(line.startswith("{") for line in said[1].stdout.splitlines())
    page = (tmp_path / "out" / "bench.md").read_text(encoding="utf-8")
    for title in ("Goals", "Roof", "Checks", "Interaction blocks", "Training epochs", "Kernels"):
        assert f"## {title}" in page
    assert "## Errors" not in page
    assert (tmp_path / "out" / "bench.png").exists()


def test_without_a_gpu_one_sentence_and_status_2(monkeypatch, capsys, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    monkeypatch.setattr("sys.argv", ["gnnpack bench gpu", f"out={tmp_path / 'out'}"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    printed = capsys.readouterr()
    assert "torch sees no CUDA device" in printed.err
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"seconds": "long"}, "seconds=long is not a number"),
        ({"seconds": "0"}, "seconds=0.0; it must be above 0"),
        ({"repeats": "0"}, "repeats=0"),
        ({"repeats": "2.5"}, "repeats=2.5 is not a number"),
        ({"retry": "maybe"}, "write retry=true or retry=false"),
        ({"dataset": "qm8"}, "choose qm9 or synthetic"),
        ({"device": "tpu"}, "this benchmark is of cuda"),
    ],
    ids=str,
)
def test_arguments_are_refused_in_words(arguments, message):
    with pytest.raises(ValueError, match=message):
        parse_settings(Arguments(**arguments))


def test_defaults_are_those_of_the_settings():
    assert parse_settings(Arguments()) == GPUSettings()
    assert parse_settings(Arguments(retry="false")).retry is False


def test_the_steps_of_a_gpu_have_names_of_their_own_and_wanted_ones_come_first():
    steps = gpu_steps(GPUSettings(), lambda *_: {})
    names = [step.name for step in steps]
    assert len(set(names)) == len(names)
    assert names[0] == "roof"
    early = names[: names.index("learning")]
    assert {"epochs batch 128 K 32 tf32", "block 4096 128 32768"} <= set(early)
    # What has a goal is measured by one call.
    fits = sum(step.seconds for step in steps[: names.index("learning") + 1])
    assert fits < GPUSettings().seconds


def test_droplets_have_the_density_of_water():
    sizes = np.full(200, 90)
    source = droplets(sizes)
    away = np.linalg.norm(source.pos.reshape(200, 90, 3), axis=-1)
    radius = (3 * 90 / (4 * math.pi * DENSITY)) ** (1 / 3)
    assert away.max() <= radius * 1.0001
    # Half of the atoms lie in half of the volume.
    assert np.mean(away < radius * 0.5 ** (1 / 3)) == pytest.approx(0.5, abs=0.02)
    assert source.num_atoms.tolist() == sizes.tolist()


def test_pairs_are_counted_within_the_cutoff():
    batch = packed_batch(droplets(np.array([4, 3])), 8, "cpu")
    assert count_pairs(batch, 100.0) == 6 + 3
    assert count_pairs(batch, 1e-3) == 0


def test_a_floor_is_the_longer_of_operations_and_bytes():
    roof = {
        "copy_bytes_per_second": 1e9,
        "cache_copy_bytes_per_second": 4e9,
        "cache_bytes": 1e6,
        "flop_per_second": {"float32": {"a": 1e9, "b": 2e9}},
    }
    how = {"precision": "float32"}
    assert percent_of_floor(roof, 1.0, flop=1e9, bytes=0, **how) == pytest.approx(50)
    assert percent_of_floor(roof, 1.0, flop=0, bytes=8e8, **how) == pytest.approx(80)
    assert percent_of_floor(roof, 1e-3, flop=0, bytes=8e5, **how) == pytest.approx(20)
    assert percent_of_floor(None, 1.0, flop=1, bytes=1, **how) is None
