"""Whole training epochs through `gnnpack train` on a GPU, and PyG's SchNet beside them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gnnpack.bench.batches import whole_batch
from gnnpack.bench.beside_pyg import directed_edges, import_pyg, pyg_schnet
from gnnpack.bench.gpu_clock import DeviceClock
from gnnpack.bench.gpu_molecules import droplets
from gnnpack.bench.gpu_settings import PRECISIONS, EpochCase, GPUSettings, Train
from gnnpack.datasets.size_counts import shuffled_sizes
from gnnpack.models import SchNet
from gnnpack.packing import PackShape, one_per_pack

# Calls that the run's own meter leaves out, and some that it counts.
CALLS = 13
# Of QM9's training split, to choose how many epochs hold so many calls.
QM9_TRAIN = 110_000
SYNTHETIC_TRAIN = 48
KEPT = (
    "train_molecules_per_second",
    "input_wait_fraction",
    "host_seconds_per_update",
    "graph_captures",
    "graph_recaptures",
    "updates",
    "num_epochs",
    "wall_seconds",
)


def measure_epochs(settings: GPUSettings, case: EpochCase, train: Train) -> dict[str, Any]:
    """The run's own figures: whole epochs, waiting for input and what lies between them included.

    At least three epochs, and as many as hold the calls that the meter leaves out.
    """
    num_train = QM9_TRAIN if settings.dataset == "qm9" else SYNTHETIC_TRAIN
    per_epoch = math.ceil(num_train / case.batch_size / case.iterations)
    epochs = max(3, math.ceil(CALLS / per_epoch) + 2)
    overrides = [
        *common_overrides(settings, case.precision),
        f"batch_size={case.batch_size}",
        f"accelerator.device_iterations={case.iterations}",
        "trainer.limit_val_batches=1",
        "trainer.limit_test_batches=1",
        f"trainer.max_epochs={epochs}",
        f"trainer.check_val_every_n_epoch={epochs}",
        "trainer.log_every_n_steps=1000",
    ]
    folder = run_folder(settings, f"epochs_{case.batch_size}_{case.iterations}_{case.precision}")
    summary = train(overrides, str(folder))
    return {"overrides": overrides, **{key: summary.get(key) for key in KEPT}}


def common_overrides(settings: GPUSettings, precision: str) -> list[str]:
    """What is typed after ``gnnpack train`` for any of the runs."""
    sizes = settings.sizes
    dataset = ["dataset=qm9"]
    if settings.dataset == "synthetic":
        dataset = ["dataset=synthetic", "dataset.num_molecules=60"]
    on_gpu = ["accelerator=gpu", *PRECISIONS[precision]]
    if settings.device == "cpu":
        on_gpu = ["accelerator=cpu", *(one for one in PRECISIONS[precision] if "tf32" not in one)]
    return [
        *dataset,
        *on_gpu,
        f"data_dir='{settings.data_dir}'",
        f"seed={settings.seed}",
        f"cutoff={sizes.cutoff}",
        "packer=lpfhp",
        "model=schnet",
        f"model.hidden_channels={sizes.hidden_channels}",
        f"model.num_interactions={sizes.num_interactions}",
        f"model.num_gaussians={sizes.num_gaussians}",
        "optimizer=adamw",
        "logger=csv",
    ]


def run_folder(settings: GPUSettings, name: str) -> Path:
    """A folder for a run; a number is added where there is one from an attempt before."""
    base = Path(settings.out) / f"{settings.name}_runs"
    folder, number = base / name, 1
    while folder.exists():
        number += 1
        folder = base / f"{name}_{number}"
    return folder


def measure_pyg(settings: GPUSettings) -> dict[str, Any]:
    """PyG's SchNet from Python on one batch that lies on the device: no loader, edges given.

    Forward, backward and fused AdamW, float32 and TF32; QM9-sized droplets. All in PyG's favour.
    """
    from gnnpack.bench.gpu_clock import matmul_precision

    pyg = import_pyg()
    if pyg is None:
        raise ValueError("PyTorch Geometric is not installed; pip install torch-geometric.")
    sizes, device, n = settings.sizes, settings.device, settings.sizes.pyg_batch
    source = droplets(shuffled_sizes("qm9", settings.seed)[:n], seed=settings.seed)
    plan = one_per_pack(source.num_atoms, PackShape(int(source.num_atoms.max())))
    # one_per_pack may order molecules anew.
    source = source._replace(rows=source.rows[plan.molecules])
    plan = one_per_pack(source.num_atoms, PackShape(int(source.num_atoms.max())))
    assert np.array_equal(plan.molecules, np.arange(n)), "molecules lie in PyG's order"
    padded = whole_batch(source, plan)
    edges = directed_edges(padded, sizes.cutoff)
    edges = type(edges)(*(tensor.to(device) for tensor in edges))
    ours = SchNet(sizes.hidden_channels, sizes.num_interactions, sizes.num_gaussians, sizes.cutoff)
    theirs = pyg_schnet(ours, edges).to(device)
    batch = pyg.collate(pyg.data_list(source)).to(device)
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=1e-3, fused=device == "cuda")

    def update() -> None:
        optimizer.zero_grad()
        loss = (theirs(batch.z, batch.pos, batch.batch)[:, 0] - batch.y).abs().mean()
        loss.backward()
        optimizer.step()

    clock = DeviceClock(device, min(settings.repeats, 10))
    found: dict[str, Any] = {"batch_size": n, "edges": edges.edge_index.shape[1]}
    for precision in ("float32", "tf32"):
        with matmul_precision(precision):
            seconds = clock.launched(update)
        found[precision] = {"seconds": seconds, "molecules_per_second": n / seconds["median"]}
    return found
