"""How near a run came to the time that its matrix products must take."""

from __future__ import annotations

from typing import Any, Mapping

import numpy as np
import pytorch_lightning as pl
import torch
from torch import nn

from gnnpack.models import SchNet
from gnnpack.packing import PackPlan
from gnnpack.run.data import Data
from gnnpack.run.filter_check import SAMPLE, sample_distances

# Measuring the machine takes so many seconds, and no more than this share of a short training.
MEASURE_SECONDS, MEASURE_SHARE = 0.3, 0.05

# By how Lightning's names of a precision begin.
DTYPES = {
    "64": torch.float64,
    "32": torch.float32,
    "bf16": torch.bfloat16,
    "16": torch.float16,
}


def percent_of_floor(
    model: nn.Module,
    trainer: pl.Trainer,
    data: Data,
    plan: PackPlan,
    metered: Mapping[str, Any],
) -> float | None:
    """100 x FLOP a second of the training's matrix products / the best rate of its device.

    The products are those of `bench.work`, of real atoms; the training's rate is the median of its
    windows. The best rate is measured now, in the training's precision. None where the work is not
    known: another model than SchNet, neighbours that are not compact pairs, no window, an IPU, or
    frozen parameters (their gradients are left out).
    """
    rate = metered["molecules_per_second_median"]
    known = isinstance(model, SchNet) and model.neighbours == "cutoff"
    known = known and all(parameter.requires_grad for parameter in model.parameters())
    if rate is None or not known or hasattr(trainer.strategy, "micro_batches"):
        return None
    # Imported here: the benchmark's room is no part of a run but for this.
    from gnnpack.bench.best_rate import best_rate

    assert isinstance(model, SchNet), "the only model whose work is counted"
    loader: Any = trainer.train_dataloader
    # On one rank's device, on average.
    molecules = plan.num_molecules / int(loader.updates_per_epoch) / trainer.world_size
    atoms = molecules * float(np.mean(plan.num_atoms))
    flop = _flop_of_update(model, data, molecules, atoms)
    device = trainer.strategy.root_device
    dtypes = _dtypes(str(trainer.precision), device)
    seconds = min(MEASURE_SECONDS, MEASURE_SHARE * metered["train_seconds"]) / len(dtypes)
    rows, channels = max(1, round(atoms)), model.embedding.embedding_dim
    try:
        best = max(best_rate(device, rows, channels, dtype, seconds=seconds) for dtype in dtypes)
    except torch.cuda.OutOfMemoryError:
        return None  # the training fills the device
    return float(100.0 * flop * (rate / trainer.world_size / molecules) / best)


def _flop_of_update(model: SchNet, data: Data, molecules: float, atoms: float) -> int:
    """Of the matrix products of so many molecules, forward and backward."""
    from gnnpack.bench.models import count_model_work
    from gnnpack.bench.work import Network

    blocks: Any = model.interactions
    filters = blocks[0].before.out_features if len(blocks) else model.embedding.embedding_dim
    gaussians = len(model.gaussians.centres)
    sizes = Network(model.embedding.embedding_dim, filters, len(blocks), gaussians)
    pairs = 0.0
    if model.grid is None:
        # Exact filters are evaluated on every pair: counted on some molecules, then scaled.
        seen = min(SAMPLE, len(data.split.train))
        pairs = molecules * len(sample_distances(data, model.cutoff)) / seen
    return count_model_work(model, sizes, round(atoms), round(pairs)).matrix_products


def _dtypes(precision: str, device: torch.device) -> list[torch.dtype]:
    """Types of the training's products; mixed ones are of both, and a CPU may prefer the wider."""
    dtype = next(dtype for name, dtype in DTYPES.items() if precision.startswith(name))
    mixed = torch.finfo(dtype).bits < 32
    return [dtype, torch.float32] if mixed and device.type == "cpu" else [dtype]
