"""Runs of a small network by any strategy, without Hydra; 9 updates an epoch."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from tests.conftest import make_source

from gnnpack.batching import PackBatch
from gnnpack.objective import MAE
from gnnpack.packing import PackShape, lpfhp
from gnnpack.tracking import MetricsCSV, ThroughputMeter
from gnnpack.training import MoleculeRegression, PackedDataModule, ValidateAtTheEnd, one_cycle

UPDATES_PER_EPOCH = 9
ADAMW = partial(torch.optim.AdamW, lr=2e-2)


class TinyModel(torch.nn.Module):
    """Two layers on atoms, summed over molecules; every operation can be captured."""

    def __init__(self) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(3)
        self.first = torch.nn.Parameter(torch.randn(13, 8, generator=random) / 4)
        self.last = torch.nn.Parameter(torch.randn(8, generator=random) / 4)
        self.register_buffer("scale", torch.tensor(1.5))

    def forward(self, batch: PackBatch) -> torch.Tensor:
        kinds = torch.arange(10, device=batch.z.device)
        one_hot = (batch.z[..., None] == kinds).to(batch.pos.dtype)
        hidden = torch.tanh(torch.cat([one_hot, batch.pos], -1) @ self.first) * self.scale
        values = torch.where(batch.atom_mask, hidden @ self.last, 0.0)
        owner = torch.arange(batch.molecule_mask.shape[1], device=batch.z.device)
        return (values[:, None] * (batch.molecule_slot[:, None] == owner[:, None])).sum(-1)


def make_data(*, num_empty_packs: int = 0, **options: Any) -> PackedDataModule:
    """64 training molecules in 17 packs, two an update; empty packs are shuffled among them."""
    source = make_source(80)
    sources = {
        "train": source._replace(rows=source.rows[:64]),
        "val": source._replace(rows=source.rows[64:]),
    }
    plans = {part: lpfhp(of.num_atoms, PackShape(24)) for part, of in sources.items()}
    train = plans["train"]
    assert train.num_packs == 2 * UPDATES_PER_EPOCH - 1, "the plan these tests count with"
    plans["train"] = train.pad_to(train.num_packs + num_empty_packs)
    batch_size = round(2 * 64 / plans["train"].num_packs)
    return PackedDataModule(sources, plans, batch_size=batch_size, **options)


class Run(NamedTuple):
    """What training leaves."""

    trainer: pl.Trainer
    module: MoleculeRegression
    folder: Path
    meter: ThroughputMeter

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        """Weights and buffers of the network."""
        return {name: value.clone() for name, value in self.module.state_dict().items()}

    @property
    def checkpoint(self) -> dict[str, Any]:
        """The last checkpoint."""
        return torch.load(self.folder / "last.ckpt", weights_only=True)

    @property
    def rows(self) -> list[dict[str, str]]:
        """metrics.csv but for what a clock measures."""
        with (self.folder / "metrics.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        kept = ("step", "epoch", "updates", "train/loss", "learning_rate", "val/mae")
        chosen = [{key: row.get(key, "") for key in kept} for row in rows]
        for row in chosen:
            # Lightning rounds what it logs to float32, but for what is logged of a whole call.
            row["learning_rate"] = str(np.float32(row["learning_rate"] or 0))
        return [row for row in chosen if row["train/loss"] or row["val/mae"]]


def train(
    folder: Path,
    strategy: Any = "auto",
    *,
    optimizer: Any = ADAMW,
    schedule: Any = one_cycle,
    callbacks: tuple[Any, ...] = (),
    data: PackedDataModule | None = None,
    resume: bool = False,
    **trainer: Any,
) -> Run:
    """Train; ``resume`` goes on from the folder's last checkpoint."""
    pl.seed_everything(0)
    module = MoleculeRegression(TinyModel(), MAE(), optimizer, schedule)
    settings: dict[str, Any] = {"max_epochs": 3, "gradient_clip_val": 0.5, "log_every_n_steps": 1}
    settings.update(trainer)
    last = ModelCheckpoint(folder, filename="last", monitor=None, enable_version_counter=False)
    best = ModelCheckpoint(folder, filename="best", monitor="val/mae", enable_version_counter=False)
    path = str(folder / "last.ckpt") if resume else None
    done = int(torch.load(path, weights_only=True)["global_step"]) if path else None
    meter = ThroughputMeter(skip_host_steps=0)
    made = pl.Trainer(
        accelerator="cpu",
        devices=1,
        strategy=strategy,
        default_root_dir=folder,
        logger=MetricsCSV(folder, resume_step=done),
        callbacks=[meter, ValidateAtTheEnd(), *callbacks, last, best],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **settings,
    )
    made.fit(module, data or make_data(), ckpt_path=path)
    return Run(made, module, folder, meter)


def assert_same_run(one: Run, other: Run) -> None:
    """Bit for bit: weights, optimizer, rates, logs, validation, best checkpoint, counts."""
    for name, value in one.weights.items():
        assert torch.equal(value, other.weights[name]), name
    assert one.trainer.global_step == other.trainer.global_step
    assert one.rows == other.rows
    kept, expected = one.checkpoint, other.checkpoint
    for key in ("global_step", "epoch", "lr_schedulers"):
        assert kept[key] == expected[key], key
    pairs = zip(kept["optimizer_states"], expected["optimizer_states"])
    for state, expected_state in pairs:
        assert state["param_groups"] == expected_state["param_groups"]
        for number, values in expected_state["state"].items():
            for name, value in values.items():
                assert torch.equal(state["state"][number][name], value), name
    best = [torch.load(run.folder / "best.ckpt", weights_only=True) for run in (one, other)]
    assert best[0]["global_step"] == best[1]["global_step"]
    for name, value in best[0]["state_dict"].items():
        assert torch.equal(value, best[1]["state_dict"][name]), name
