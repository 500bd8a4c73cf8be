"""The errors of a checkpoint, from the checkpoint alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Mapping

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf

from gnnpack import accelerators
from gnnpack.accelerators import IPU_PRECISIONS
from gnnpack.datasets import Split
from gnnpack.models import Readout
from gnnpack.run.checkpoint import load_checkpoint, load_weights
from gnnpack.run.data import baseline_mae, make_data_module, make_plans, open_data, target_scale
from gnnpack.run.training import make_module
from gnnpack.tracking import error_unit
from gnnpack.training import MoleculeRegression

ACCELERATORS: dict[str, Callable[..., dict[str, Any]]] = {
    "auto": accelerators.auto,
    "cpu": accelerators.cpu,
    "gpu": accelerators.gpu,
}


def restore_module(path: Path) -> tuple[MoleculeRegression, Mapping[str, Any], DictConfig]:
    """The trained module of a checkpoint (of a run folder: the best), its record and config."""
    if path.is_dir():
        path = path / "checkpoints" / "best.ckpt"
    checkpoint = load_checkpoint(path)
    record = checkpoint["gnnpack"]
    cfg = OmegaConf.create(record["config"])
    module = make_module(cfg, Readout(record["readout"]), record)
    # The precision it was trained in: a double network stays one.
    module.to(checkpoint["state_dict"]["model.readout.std"].dtype)
    load_weights(module, checkpoint, path)
    return module.eval(), record, cfg


def evaluate_checkpoint(
    path: Path, part: str = "test", *, data_dir: str | None = None, accelerator: str = "auto"
) -> dict[str, Any]:
    """Errors on one part of the split the checkpoint was trained with.

    Args:
        part: train, val or test.
        data_dir: where the data lie, if not where they lay in training.
        accelerator: auto, cpu or gpu; one device, whatever the training had.

    Raises:
        ValueError: unknown part; what `load_checkpoint` and the data set refuse; other data.
    """
    if part not in Split._fields:
        raise ValueError(f"split is {part!r}; choose one of {', '.join(Split._fields)}.")
    if accelerator not in ACCELERATORS:
        raise ValueError(
            f"accelerator is {accelerator!r}; choose one of {', '.join(ACCELERATORS)}."
        )
    module, record, cfg = restore_module(path)
    if data_dir is not None:
        cfg.data_dir = data_dir
    data = open_data(cfg, record)
    if data.store.fingerprint != record["data_fingerprint"]:
        raise ValueError(
            f"{path} was trained on data with checksum {record['data_fingerprint']}, but "
            f"{data.store.path} has {data.store.fingerprint}. Use the data it was trained on."
        )
    if not len(getattr(data.split, part)):
        raise ValueError(f"The run of {path} left no molecules for {part}.")
    plans = make_plans(cfg, data)
    # The test loop serves every part: it reads the loader it is given.
    loaders = make_data_module(cfg, data, {"test": plans[part]}, {"test": part})
    trainer = pl.Trainer(
        **ACCELERATORS[accelerator](precision=_precision(cfg)),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.test(module, loaders, verbose=False)
    return {
        "target": data.target,
        "unit": data.unit,
        "split": part,
        "num_molecules": len(getattr(data.split, part)),
        "mae": float(trainer.callback_metrics["test/mae"]),
        "rmse": float(trainer.callback_metrics["test/rmse"]),
        "baseline_mae": baseline_mae(data, target_scale(data), part),
    }


def _precision(cfg: DictConfig) -> str:
    """The run's precision; an IPU's weights are evaluated in full."""
    ours: str = cfg.accelerator.precision
    return "32-true" if ours in IPU_PRECISIONS else ours


def print_errors(errors: Mapping[str, Any]) -> None:
    """A table; energies in meV."""
    from rich.console import Console
    from rich.table import Table

    factor, unit = error_unit(errors["unit"])
    molecules = f"{errors['num_molecules']:,} {errors['split']} molecules"
    table = Table(title=f"{errors['target']} on {molecules}")
    table.add_column("error")
    table.add_column(unit, justify="right")
    names = {"mae": "MAE", "rmse": "RMSE", "baseline_mae": "MAE of the training mean"}
    for key, name in names.items():
        table.add_row(name, f"{factor * errors[key]:,.4g}")
    Console().print(table)
