"""Run folders as runs leave them, made in milliseconds; nothing is trained."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

PACKERS = ("lpfhp", "optimal", "one_per_pack", "next_fit")
CONFIG = """\
seed: {seed}
cutoff: 6.0
batch_size: {batch_size}
shape: {{num_atoms: null, num_pairs: null, num_molecules: null}}
data_dir: data
resume: null
dataset:
  _target_: gnnpack.datasets.QM9
  target: U0
  references: published
  split: {{train: 0.8, val: 0.1, test: null, seed: 0, file: null}}
packer:
  _target_: gnnpack.packing.{packer}
  _partial_: true
model:
  _target_: gnnpack.models.SchNet
  hidden_channels: {hidden_channels}
  num_interactions: 4
  num_gaussians: 50
  cutoff: 6.0
  num_filters: null
  neighbours: cutoff
  num_neighbours: 28
  filter:
    _target_: gnnpack.models.Tabulated
    tolerance: 0.0001
    order: cubic
    num_knots: null
  num_elements: 100
  compiled: true
objective:
  _target_: gnnpack.objective.MAE
  weighting: molecule
optimizer:
  _target_: torch.optim.AdamW
  _partial_: true
  lr: 0.001
  betas: [0.9, 0.999]
  eps: 1.0e-08
  weight_decay: 0.01
schedule:
  _target_: gnnpack.training.one_cycle
  _partial_: true
  warmup: 0.3
  start_factor: 0.04
accelerator:
  _target_: gnnpack.accelerators.cpu
  devices: 1
  num_nodes: 1
  precision: 32-true
  strategy: auto
  num_threads: null
loader: {{place: auto, prefetch: 4, pin_memory: null, memory_share: 0.25}}
trainer:
  _target_: pytorch_lightning.Trainer
  max_epochs: 20
  max_steps: -1
  accumulate_grad_batches: 1
  gradient_clip_val: null
  log_every_n_steps: 50
  deterministic: false
  profiler: null
callbacks:
  checkpoint_best:
    _target_: pytorch_lightning.callbacks.ModelCheckpoint
    _partial_: true
    filename: best
    monitor: val/mae
logger:
  _target_: gnnpack.tracking.csv_only
  _partial_: true
"""


def make_runs(
    folder: Path,
    num_runs: int,
    *,
    seeds: int = 3,
    sweep: str = "made",
    rows: int = 60,
    states: dict[int, str] | None = None,
    **changes: Any,
) -> list[Path]:
    """A sweep of ``num_runs`` jobs in ``folder``, ``seeds`` of each setting; returns their folders.

    states: job number -> a state other than done. changes: into every summary.json.
    """
    folders = []
    for number in range(num_runs):
        setting, seed = divmod(number, seeds)
        folders.append(
            make_run(
                folder / f"{number:012x}",
                packer=PACKERS[setting % len(PACKERS)],
                hidden_channels=32 * (1 + setting // len(PACKERS)),
                seed=seed,
                sweep=sweep,
                number=number,
                rows=rows,
                state=(states or {}).get(number, "done"),
                **changes,
            )
        )
    jobs = [path.name for path in folders]
    folder.mkdir(parents=True, exist_ok=True)
    _json(folder / "sweep.json", {"format_version": 1, "name": sweep, "jobs": jobs})
    return folders


def make_run(
    folder: Path,
    *,
    packer: str = "lpfhp",
    hidden_channels: int = 64,
    batch_size: int = 64,
    seed: int = 0,
    sweep: str | None = None,
    number: int = 0,
    rows: int = 60,
    state: str = "done",
    reason: str | None = "RuntimeError: out of memory",
    **changes: Any,
) -> Path:
    """One run folder. ``changes`` go into summary.json; state "missing" makes nothing."""
    if state == "missing":
        return folder
    folder.mkdir(parents=True)
    settings = {"packer": packer, "hidden_channels": hidden_channels, "batch_size": batch_size}
    if sweep is not None:
        _job(folder, sweep, number, {**settings, "seed": seed})
        if state != "unfinished":
            _state(folder, state, reason if state == "failed" else None)
    (folder / "train.log").write_text("training\n", encoding="utf-8")
    if state == "failed":
        return folder
    (folder / "config.yaml").write_text(CONFIG.format(seed=seed, **settings), encoding="utf-8")
    _json(folder / "run.json", made_record(seed))
    random = np.random.RandomState(1000 * hidden_channels + 10 * PACKERS.index(packer) + seed)
    summary = made_summary(random, packer, hidden_channels)
    _metrics(folder / "metrics.csv", random, rows, summary["val_mae"], whole=state == "done")
    if state == "done":
        _json(folder / "summary.json", {**summary, **changes})
    else:
        live = {"phase": "training", "epoch": 3, "max_epochs": 20, "updates": 75}
        live = {**live, "total_updates": 300, "loss": 0.4, "seconds": 1.0, "time": 1e9}
        _json(folder / "live.json", live)
    return folder


def made_summary(random: np.random.RandomState, packer: str, hidden: int) -> dict[str, Any]:
    """summary.json of a run that learnt."""
    rate = {"lpfhp": 5200.0, "optimal": 5350.0, "one_per_pack": 2900.0, "next_fit": 4300.0}[packer]
    rate *= (64 / hidden) ** 0.6 * random.normal(1.0, 0.03)
    efficiency = {"lpfhp": 0.984, "optimal": 0.989, "one_per_pack": 0.62, "next_fit": 0.88}[packer]
    test = 0.055 * (64 / hidden) ** 0.3 * random.normal(1.0, 0.05)
    return {
        "target": "U0",
        "unit": "eV",
        "test_mae": test,
        "val_mae": 0.97 * test,
        "baseline_mae": 0.24,
        "test_mae_meV": 1000 * test,
        "train_molecules_per_second": 0.98 * rate,
        "molecules_per_second_median": rate,
        "molecules_per_second_p10": 0.93 * rate,
        "molecules_per_second_p90": 1.04 * rate,
        "num_windows": 40,
        "atoms_per_second_median": 18.0 * rate,
        "filler_fraction": 1.0 - efficiency,
        "step_seconds_p10": 55.0 / rate,
        "step_seconds_p50": 64.0 / rate,
        "step_seconds_p90": 80.0 / rate,
        "step_seconds_p99": 130.0 / rate,
        "percent_of_floor": 31.0,
        "peak_host_bytes": 1.4 * 2**30,
        "peak_device_bytes": None,
        "energy_joules_per_molecule": 0.011,
        "energy_source": "RAPL package-0",
        "compile_seconds": 3.1,
        "capture_seconds": None,
        "train_seconds": 300 * 64.0 / rate,
        "updates": 300,
        "atom_efficiency": efficiency,
        "num_packs": 4000,
        "pack_lower_bound": 3990,
        "input_wait_fraction": 0.012,
        "emulated": False,
        "num_epochs": 20,
        "wall_seconds": 400 * 64.0 / rate,
    }


def made_record(seed: int) -> dict[str, Any]:
    """run.json."""
    return {
        "started": "2026-03-01T12:00:00+00:00",
        "argv": [f"seed={seed}"],
        "seeds": {"run": seed, "split": 0},
        "data": {"dataset": "qm9", "checksum": "7eecc8df651cb117"},
        "git": {"commit": "dd98365dda383531dafa0a63acbec9dd01218297", "dirty": seed == 1},
        "versions": {"python": "3.11.7", "gnnpack": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6"},
        "machine": {"cpu": "Made CPU at 3 GHz", "cores": 2, "memory_bytes": 2**34, "gpus": []},
    }


def _job(folder: Path, sweep: str, number: int, swept: dict[str, Any]) -> None:
    job = {
        "format_version": 1,
        "sweep": sweep,
        "key": folder.name,
        "number": number,
        "overrides": [f"{key}={value}" for key, value in swept.items()],
        "variant": None,
        "swept": {key: str(swept[key]) for key in ("packer", "hidden_channels", "seed")},
        "must_learn": False,
        "options": {"packer": str(swept["packer"]), "dataset": "qm9"},
    }
    _json(folder / "job.json", job)


def _state(folder: Path, state: str, reason: str | None) -> None:
    told = {"state": state, "attempt": 1, "started": "2026-03-01T12:00:00+00:00", "pid": 1}
    told.update(ended="2026-03-01T12:10:00+00:00", exit_status=int(state == "failed"))
    _json(folder / "state.json", {**told, "reason": reason, "device": "cores 0-1"})


def _metrics(
    path: Path, random: np.random.RandomState, rows: int, last: float, *, whole: bool
) -> None:
    """Losses every few updates, a validation error every tenth row."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "epoch", "train/loss", "updates", "val/mae"])
        for row in range(rows if whole else rows // 4):
            updates = 300 * (row + 1) // rows
            error = last * (1.0 + 3.5 * np.exp(-5.0 * (row + 1) / rows)) * random.normal(1, 0.04)
            writer.writerow([updates - 1, row // 10, error * 1.1, updates, ""])
            if row % 5 == 4:
                writer.writerow([updates - 1, row // 10, "", updates, error])


def _json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
