"""Training on water clusters of HydroNet's sizes: made, because the speed needs no more."""

from __future__ import annotations

from functools import partial
from typing import Any, Mapping

import numpy as np
import pytorch_lightning as pl
import torch

from gnnpack import accelerators
from gnnpack.batching import PackSource
from gnnpack.bench.gpu_epochs import KEPT, run_folder
from gnnpack.bench.gpu_molecules import droplets
from gnnpack.bench.gpu_settings import GPUSettings
from gnnpack.datasets.size_counts import shuffled_sizes
from gnnpack.models import Readout, SchNet
from gnnpack.objective import MAE
from gnnpack.packing import PackShape, lpfhp, resolve_num_atoms
from gnnpack.tracking import MetricsCSV, ThroughputMeter
from gnnpack.training import MoleculeRegression, PackedDataModule

CLUSTERS = "clusters"
GEOMETRY = "synthetic geometry: random droplets of liquid density, sizes of HydroNet 4.5M"
RULE = "all neighbours within {cutoff:g} Å, none cut off by number"
ITERATIONS = 32
# A whole epoch is run where it takes about so long at most; otherwise the extrapolation stands.
MOST_SECONDS = 24.0


def measure_clusters(settings: GPUSettings, precision: str) -> dict[str, Any]:
    """Epochs of a part of the clusters; the whole epoch's seconds at that rate, extrapolated."""
    sizes = settings.sizes
    found = _train(settings, sizes.clusters, sizes.cluster_epochs, precision)
    rate = found["train_molecules_per_second"]
    return {**found, "extrapolated_epoch_seconds": None if not rate else sizes.all_clusters / rate}


def measure_whole_epoch(settings: GPUSettings, earlier: Mapping[str, Any]) -> dict[str, Any]:
    """One epoch of as many clusters as 80 % of HydroNet 4.5M, where the parts were fast enough."""
    parts = {
        name.split()[-1]: result["train_molecules_per_second"]
        for name, result in earlier.items()
        if name.startswith(f"{CLUSTERS} part") and result["train_molecules_per_second"]
    }
    if not parts:
        raise ValueError("No part of the clusters was measured before, so nothing tells how long.")
    best = max(parts, key=lambda name: parts[name])
    expected = settings.sizes.all_clusters / parts[best]
    if expected > MOST_SECONDS and settings.device == "cuda":
        return {"left_out": f"at the rate of the part it would take {expected:.0f} s"}
    return _train(settings, settings.sizes.all_clusters, 1, best)


def _train(settings: GPUSettings, number: int, epochs: int, precision: str) -> dict[str, Any]:
    sizes = settings.sizes
    atoms = shuffled_sizes("hydronet_4.5m", settings.seed)[:number]
    source = droplets(atoms, seed=settings.seed, device=settings.device)
    # Chosen on a part: the sizes of the rest are the same.
    shape = resolve_num_atoms(lpfhp, atoms[:100_000], PackShape(None))
    meter = ThroughputMeter(skip_host_steps=3)
    trainer = pl.Trainer(
        **_accelerator(settings, precision),
        max_epochs=epochs,
        limit_val_batches=0,
        callbacks=[meter],
        logger=MetricsCSV(run_folder(settings, f"{CLUSTERS}_{number}_{precision}")),
        log_every_n_steps=1000,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(_module(settings, int(atoms.max())), _data(settings, source, shape))
    summary = {
        **meter.summary(),
        **getattr(trainer.strategy, "run_summary", {}),
        "updates": trainer.global_step,
        "num_epochs": trainer.current_epoch,
    }
    return {
        "clusters": number,
        "mean_atoms": float(np.mean(atoms)),
        "pack_slots": shape.num_atoms,
        "batch_size": sizes.cluster_batch,
        "precision": precision,
        "geometry": GEOMETRY,
        "neighbour_rule": RULE.format(cutoff=sizes.cutoff),
        **{key: summary.get(key) for key in KEPT},
    }


def _accelerator(settings: GPUSettings, precision: str) -> dict[str, Any]:
    lightning = "bf16-mixed" if precision == "bf16" else "32-true"
    if settings.device == "cpu":
        return accelerators.cpu(precision=lightning, device_iterations=2)
    return accelerators.gpu(
        precision=lightning, tf32=precision != "float32", device_iterations=ITERATIONS
    )


def _module(settings: GPUSettings, largest: int) -> MoleculeRegression:
    sizes = settings.sizes
    pl.seed_everything(settings.seed)
    model = SchNet(
        sizes.hidden_channels,
        sizes.num_interactions,
        sizes.num_gaussians,
        sizes.cutoff,
        filter="tabulated",
        readout=Readout(),
        largest_molecule=largest,
    )
    return MoleculeRegression(model, MAE(), partial(torch.optim.AdamW, lr=1e-4))


def _data(settings: GPUSettings, source: PackSource, shape: PackShape) -> PackedDataModule:
    plan = lpfhp(source.num_atoms, shape, seed=settings.seed)
    return PackedDataModule(
        {"train": source},
        {"train": plan},
        batch_size=settings.sizes.cluster_batch,
        seed=settings.seed,
    )
