"""Ways to train, each run a process of its own that starts with the same updates of an epoch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Mapping, NamedTuple, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from gnnpack.bench import pyg_run
from gnnpack.bench.data import BenchData
from gnnpack.bench.measured_process import Memory, Program, run_program
from gnnpack.bench.models import filter_override
from gnnpack.bench.section import PYG
from gnnpack.bench.settings import OverviewSettings

# Updates that `tracking.ThroughputMeter` leaves out of a run that has more.
SKIPPED = 10
# Others than our tabulated run count a part of its molecules only, or they would take minutes.
SLOW_SHARE = 4
TRAIN = "gnnpack.commands.train:main"
TRAIN_MODULES = ("gnnpack.run", "numba", "wandb", "matplotlib.backends.backend_agg")
PYG_TRAIN = "gnnpack.bench.pyg_run:main"
PYG_MODULES = ("gnnpack.run", "torch_geometric.nn", "torch_geometric.loader")


class Measured(NamedTuple):
    """What one run reached."""

    rate: float  # real molecules a second of training
    memory: Memory | None
    wait_fraction: float | None = None


class Runner(NamedTuple):
    """One way to train: a run in a folder of its own."""

    label: str
    run: Callable[[Path], Measured]
    updates: int
    facts: Mapping[str, Any]


def make_runners(
    data: BenchData,
    with_pyg: bool,
    updates: Sequence[NDArray[np.int64]],
    batch_size: int,
    settings: OverviewSettings,
) -> dict[str, Runner]:
    """The runs to compare.

    Args:
        updates: of epoch 0, molecules of the training split each.
    """
    many = max(1, round(settings.run_molecules / batch_size))
    few = max(1, many // SLOW_SHARE)
    found = {
        "packed": _ours(
            "gnnpack, tabulated",
            data,
            [*common_overrides(data, batch_size, settings), filter_override("tabulated")],
            min(SKIPPED + many, len(updates)),
        ),
        "plain": _ours(
            "plain torch, exact",
            data,
            [
                *common_overrides(data, batch_size, settings),
                filter_override("exact"),
                "model.compiled=false",
            ],
            min(SKIPPED + few, len(updates)),
        ),
    }
    if with_pyg:
        last = min(SKIPPED + few, len(updates))
        # The same updates count as in the others; two before them warm up.
        skipped = SKIPPED if last > SKIPPED else 1
        first = max(0, skipped - 2)
        rows = [data.train.rows[one] for one in updates[first:last]]
        found[PYG] = _pyg(data, rows, skipped - first, settings)
    return found


def common_overrides(data: BenchData, batch_size: int, settings: OverviewSettings) -> list[str]:
    """What is typed after ``gnnpack train`` for any of our runs."""
    dataset = [f"dataset={data.dataset.name}"]
    if data.dataset.name == "synthetic":
        dataset.append(f"dataset.num_molecules={data.store.num_molecules}")
        dataset.append(f"dataset.seed={settings.seed}")
    return [
        *dataset,
        f"data_dir='{data.data_dir}'",
        f"seed={settings.seed}",
        f"cutoff={settings.cutoff}",
        f"batch_size={batch_size}",
        "packer=lpfhp",
        "model=schnet",
        f"model.hidden_channels={settings.hidden_channels}",
        f"model.num_interactions={settings.num_interactions}",
        f"model.num_gaussians={settings.num_gaussians}",
        "optimizer=adamw",
        "accelerator=cpu",
        f"accelerator.num_threads={torch.get_num_threads()}",
        "trainer.max_epochs=1",
        # A run ends with both; here they only have to be there.
        "trainer.limit_val_batches=1",
        "trainer.limit_test_batches=1",
    ]


def _ours(label: str, data: BenchData, overrides: list[str], updates: int) -> Runner:
    overrides = [*overrides, f"trainer.limit_train_batches={updates}"]

    def run(folder: Path) -> Measured:
        arguments = [*overrides, f"hydra.run.dir='{folder / 'run'}'"]
        memory = run_program(Program(TRAIN, arguments, TRAIN_MODULES), folder)
        check_split(data, folder / "run" / "split.npz")
        summary = json.loads((folder / "run" / "summary.json").read_text(encoding="utf-8"))
        return Measured(
            summary["train_molecules_per_second"], memory, summary["input_wait_fraction"]
        )

    return Runner(label, run, updates, {"overrides": overrides})


def _pyg(
    data: BenchData, rows: Sequence[NDArray[np.int64]], skipped: int, settings: OverviewSettings
) -> Runner:
    job = pyg_run.Job(
        store=str(data.store.path),
        model=(
            settings.hidden_channels,
            settings.num_interactions,
            settings.num_gaussians,
            settings.cutoff,
        ),
        readout=(data.run.readout, *data.scale),
        lr=settings.lr,
        seed=settings.seed,
        threads=torch.get_num_threads(),
        skipped=skipped,
    )

    def run(folder: Path) -> Measured:
        pyg_run.write_job(job, rows, data.run.values, folder)
        memory = run_program(Program(PYG_TRAIN, [str(folder)], PYG_MODULES), folder)
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        return Measured(summary["train_molecules_per_second"], memory)

    return Runner("PyG SchNet, edges given", run, len(rows), {})


def check_split(data: BenchData, path: Path) -> None:
    """ValueError unless a run trained on the split that its rivals are given."""
    with np.load(path) as split:
        trained = split["train"]
    if not np.array_equal(trained, np.sort(data.store.ids[data.run.split.train])):
        raise ValueError(
            f"The run of {path.parent} trained on another split than those it is compared with, so "
            "their rates cannot be compared. This is a bug in gnnpack: please report it."
        )
