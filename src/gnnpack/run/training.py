"""From a config to a finished run: data, plans, model, training, summary."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any, Mapping, Sequence

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from gnnpack import tracking
from gnnpack.models import Readout
from gnnpack.packing import PackPlan
from gnnpack.run.checkpoint import checkpoint_record, load_checkpoint
from gnnpack.run.config_check import check_config
from gnnpack.run.data import (
    Data,
    Scale,
    baseline_mae,
    make_data_module,
    make_plans,
    open_data,
    target_scale,
)
from gnnpack.run.report import announce, finish_run, write_record
from gnnpack.training import MoleculeRegression, PackedDataModule

log = logging.getLogger(__name__)


def run(
    cfg: DictConfig,
    run_dir: Path,
    *,
    overrides: Sequence[str] = (),
    checkpoint: Path | None = None,
) -> dict[str, Any]:
    """Train, test and report; everything goes to ``run_dir``.

    Args:
        overrides: what the user typed, for the record.
        checkpoint: go on from it.

    Returns:
        What summary.json holds.
    """
    started = time.perf_counter()
    check_config(cfg)
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    run_dir.mkdir(parents=True, exist_ok=True)
    data = open_data(cfg)
    plans = make_plans(cfg, data)
    scale = target_scale(data)
    module = make_module(cfg, Readout(data.readout, *scale), checkpoint_record(cfg, data, plans))
    write_record(cfg, run_dir, data, overrides, resumed=checkpoint is not None)
    announce(cfg, data, plans, module)
    try:
        meter = tracking.ThroughputMeter()
        trainer = make_trainer(cfg, run_dir, [meter], checkpoint)
        loaders = make_data_module(cfg, data, plans)
        trainer.fit(module, loaders, ckpt_path=None if checkpoint is None else str(checkpoint))
        if trainer.interrupted:
            log.info("Interrupted; go on with resume=%s", run_dir)
            raise KeyboardInterrupt
        summary = evaluate_run(trainer, module, loaders, data, scale, plans, meter)
        summary["wall_seconds"] = time.perf_counter() - started
        if trainer.is_global_zero:
            finish_run(summary, run_dir, module, plans, data)
    except BaseException:
        tracking.finish_wandb(exit_code=1)
        raise
    tracking.finish_wandb()
    return summary


def make_module(
    cfg: DictConfig, readout: Readout, record: Mapping[str, Any] | None = None
) -> MoleculeRegression:
    """Model, objective, optimizer and schedule of ``cfg``."""
    return MoleculeRegression(
        instantiate(cfg.model, readout=readout),
        instantiate(cfg.objective),
        # all: torch and others ask for plain lists and tuples, not config nodes.
        instantiate(cfg.optimizer, _convert_="all"),
        instantiate(cfg.schedule),
        record=record,
    )


def make_trainer(
    cfg: DictConfig, run_dir: Path, callbacks: list[pl.Callback], checkpoint: Path | None
) -> pl.Trainer:
    """The Trainer with the run's accelerator, callbacks and loggers."""
    for node in cfg.callbacks.values():
        if node is None:
            continue
        callback = instantiate(node)
        if not isinstance(callback, pl.Callback):
            # A partial one waits for the place it writes to.
            callback = callback(dirpath=run_dir / "checkpoints")
        callbacks.append(callback)
    loggers = instantiate(cfg.logger)(
        run_dir,
        name=run_dir.name,
        config=OmegaConf.to_container(cfg, resolve=True),
        resume_step=None if checkpoint is None else checkpoint_step(checkpoint),
    )
    trainer: pl.Trainer = instantiate(
        cfg.trainer,
        **instantiate(cfg.accelerator),
        callbacks=[*callbacks, tracking.progress_callback()],
        logger=loggers,
        default_root_dir=str(run_dir),
        _convert_="all",
    )
    return trainer


def checkpoint_step(path: Path) -> int:
    """Updates done when the checkpoint was written."""
    return int(load_checkpoint(path)["global_step"])


def evaluate_run(
    trainer: pl.Trainer,
    module: MoleculeRegression,
    loaders: PackedDataModule,
    data: Data,
    scale: Scale,
    plans: Mapping[str, PackPlan],
    meter: tracking.ThroughputMeter,
) -> dict[str, Any]:
    """Test with the best weights and gather the summary."""
    keeper = trainer.checkpoint_callback
    best = getattr(keeper, "best_model_path", "") or None
    updates, epochs = trainer.global_step, trainer.current_epoch
    score = getattr(keeper, "best_model_score", None) if best else None
    val_mae = trainer.callback_metrics["val/mae"] if score is None else score
    trainer.test(module, loaders, ckpt_path=best, verbose=False)
    plan = plans["train"]
    return tracking.summary_dict(
        target=data.target,
        unit=data.unit,
        test_mae=float(trainer.callback_metrics["test/mae"]),
        val_mae=float(val_mae),
        baseline_mae=baseline_mae(data, scale),
        updates=updates,
        atom_efficiency=plan.atom_efficiency,
        num_packs=plan.num_packs,
        pack_lower_bound=plan.lower_bound,
        num_epochs=epochs,
        wall_seconds=0.0,
        **meter.summary(),
    )
