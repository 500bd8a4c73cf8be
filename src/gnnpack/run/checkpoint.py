"""What a checkpoint holds besides weights, and how one is read."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any, Mapping

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

import gnnpack
from gnnpack.datasets import Split
from gnnpack.packing import PackPlan
from gnnpack.run.data import Data
from gnnpack.store import Store

MOLECULES_AT_ONCE = 1 << 16
NO_CHECKPOINT = (
    "{} is no checkpoint, or a damaged one: a run's are best.ckpt and last.ckpt in its folder "
    "checkpoints."
)


def checkpoint_record(cfg: DictConfig, data: Data, plans: Mapping[str, PackPlan]) -> dict[str, Any]:
    """What a checkpoint must hold to be used alone; plain values and tensors."""
    store = data.store
    return {
        "version": gnnpack.__version__,
        "config": OmegaConf.to_container(cfg, resolve=True),
        "target": data.target,
        "unit": data.unit,
        "readout": data.readout,
        "references": data.references.tolist(),
        "elements": elements_of(store, data.split.train),
        "pack_atoms": plans["train"].atom_capacity,
        "data_fingerprint": store.fingerprint,
        "split": {
            part: torch.from_numpy(store.ids[rows].copy())
            for part, rows in zip(Split._fields, data.split)
        },
    }


def elements_of(store: Store, rows: NDArray[np.int64]) -> list[int]:
    """Atomic numbers that occur in the molecules of ``rows``, ascending."""
    chosen = np.zeros(store.num_molecules, dtype=bool)
    chosen[rows] = True
    found: set[int] = set()
    # A part of the molecules at a time: all of a large set's atoms are gigabytes.
    for first in range(0, store.num_molecules, MOLECULES_AT_ONCE):
        last = min(first + MOLECULES_AT_ONCE, store.num_molecules)
        edges = store.offsets[first : last + 1]
        of_chosen = np.repeat(chosen[first:last], np.diff(edges))
        found.update(np.unique(store.z[edges[0] : edges[-1]][of_chosen]).tolist())
    return sorted(found)


class MovedFolder(pl.Callback):
    """Let a run go on in the folder it lies in now.

    Checkpoint callbacks keep the folder they wrote to. In another one they would forget the best
    error so far, and the next validation would replace ``best.ckpt`` even if it is worse.
    """

    def __init__(self, run_dir: Path) -> None:
        self._checkpoints = run_dir.resolve() / "checkpoints"

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Point the callbacks' paths to the present folder."""
        for state in checkpoint["callbacks"].values():
            before = state.get("dirpath") if isinstance(state, dict) else None
            if before is None:
                continue
            after = str(self._checkpoints)
            for key, value in state.items():
                if isinstance(value, str) and value.startswith(before):
                    state[key] = after + value[len(before) :]
            if "best_k_models" in state:
                scores = state["best_k_models"].items()
                state["best_k_models"] = {after + p[len(before) :]: score for p, score in scores}


def load_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of this program, on the CPU.

    Raises:
        ValueError: no such file, not a checkpoint, or one of another program.
    """
    if not path.is_file():
        raise ValueError(f"There is no checkpoint {path}. A run keeps its own in checkpoints/.")
    if not zipfile.is_zipfile(path):
        # torch would take it for one of its older files.
        raise ValueError(NO_CHECKPOINT.format(path))
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, KeyError, ValueError) as error:
        # torch's own words would advise to load it unsafely.
        raise ValueError(NO_CHECKPOINT.format(path)) from error
    except RuntimeError as error:
        raise ValueError(
            f"{path} cannot be read as a checkpoint: {error}. It is damaged or something else; "
            "try the run's other checkpoint."
        ) from error
    if not isinstance(checkpoint, dict) or "gnnpack" not in checkpoint:
        raise ValueError(
            f"{path} is a checkpoint of another program: it has no record of its data and model. "
            "Use one that `gnnpack train` wrote."
        )
    return checkpoint


def load_weights(module: torch.nn.Module, checkpoint: Mapping[str, Any], path: Path) -> None:
    """Put a checkpoint's weights into ``module``; ValueError when they are another model's."""
    try:
        module.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise ValueError(
            f"{path} holds the weights of another model: {error}. Use the model settings in its "
            "run's config.yaml."
        ) from error
