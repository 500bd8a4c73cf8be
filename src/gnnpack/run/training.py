"""From a config to a finished run: data, plans, model, training, summary."""

from __future__ import annotations

import errno
import logging
from functools import partial
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Checkpoint, LambdaCallback, ModelCheckpoint

from gnnpack import tracking
from gnnpack.accelerators import CompiledOffline
from gnnpack.experiments.prune_trial import trial_callbacks, was_pruned
from gnnpack.models import Readout
from gnnpack.packing import PackPlan
from gnnpack.run.beginning import Beginning
from gnnpack.run.checkpoint import (
    MovedFolder,
    checkpoint_record,
    load_checkpoint,
    load_weights,
)
from gnnpack.run.config_check import check_config
from gnnpack.run.data import (
    Data,
    Scale,
    baseline_mae,
    check_split,
    make_data_module,
    make_plans,
    open_data,
    target_scale,
)
from gnnpack.run.filter_check import check_filters
from gnnpack.run.finetune import FineTuning
from gnnpack.run.meters import Meters
from gnnpack.run.neighbour_check import check_neighbours
from gnnpack.run.profiling import make_profiler, tell_profile
from gnnpack.run.report import announce, finish_run, write_record
from gnnpack.training import MoleculeRegression, PackedDataModule, ValidateAtTheEnd

log = logging.getLogger(__name__)

# Others (a port in use, a file not found) are no matter of the disk.
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


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
        What summary.json holds; nothing where programs were only compiled.
    """
    check_config(cfg)
    with Meters(run_dir) as meters:
        return train(cfg, run_dir, meters, overrides=overrides, checkpoint=checkpoint)


def train(
    cfg: DictConfig,
    run_dir: Path,
    meters: Meters,
    *,
    overrides: Sequence[str],
    checkpoint: Path | None,
) -> dict[str, Any]:
    """`run`, measured."""
    pl.seed_everything(cfg.seed, workers=True)
    # Before any data are read: what is not here, or misspelt, is told at once.
    execution = instantiate(cfg.accelerator)
    beginning = Beginning(cfg, checkpoint)
    data = open_data(cfg)
    meters.tell_unit(data.unit)
    check_split(data)
    plans = make_plans(cfg, data)
    scale = target_scale(data)
    kept = {**checkpoint_record(cfg, data, plans), **beginning.record}
    module = make_module(
        cfg,
        Readout(data.readout, *scale),
        kept,
        largest_molecule=int(data.store.num_atoms.max()),
    )
    beginning.prepare(module.model, kept)
    announce(cfg, data, plans, module)
    told = partial(write_record, cfg, run_dir, data, overrides, begun=beginning.record)
    record = partial(told, resumed=checkpoint is not None)
    try:
        trainer = make_trainer(cfg, execution, run_dir, meters.callbacks, checkpoint, record)
        check_model(module.model, data, trainer, "before training")
        loaders = make_data_module(cfg, data, plans)
        fit(trainer, module, loaders, run_dir, checkpoint)
        if was_pruned(trainer):
            tracking.finish_wandb()
            return {}
        summary = evaluate_run(trainer, module, loaders, data, scale, plans, meters)
        summary["wall_seconds"] = meters.clock.seconds
        summary["first_batch_seconds"] = meters.clock.first_batch_seconds
        check_model(module.model, data, trainer, "after it")
        finish_run(summary, run_dir, module, plans, data)
        tell_profile(cfg.trainer.get("profiler"), run_dir)
    except CompiledOffline:
        if execution["strategy"].emulated:
            log.info("Both programs trace (emulated: nothing is compiled or written).")
        else:
            log.info(
                "Compiled into %s, without an IPU. Run the same settings with accelerator."
                "connection=always where there is one.",
                cfg.accelerator.executable_cache,
            )
        summary = {}
    except BaseException:
        tracking.finish_wandb(exit_code=1)
        raise
    tracking.finish_wandb()
    return summary


def check_model(model: torch.nn.Module, data: Data, trainer: pl.Trainer, when: str) -> None:
    """Tell how far the model is from the one with exact filters and all neighbours."""
    # A static graph has exact filters.
    if not hasattr(trainer.strategy, "micro_batches"):
        check_filters(model, data, when)
    if when.startswith("before"):
        check_neighbours(model, data)


def fit(
    trainer: pl.Trainer,
    module: MoleculeRegression,
    loaders: PackedDataModule,
    run_dir: Path,
    checkpoint: Path | None,
) -> None:
    """Train; an interruption is told how to go on from, a disk that refuses how to be cured."""
    try:
        trainer.fit(module, loaders, ckpt_path=None if checkpoint is None else str(checkpoint))
        # Lightning before 2.5 returns from an interruption, later ones end the process.
        if trainer.interrupted:
            raise KeyboardInterrupt
    except (KeyboardInterrupt, SystemExit):
        if (run_dir / "checkpoints" / "last.ckpt").is_file():
            log.info("Stopped. Go on with: python train.py resume=%s", run_dir)
        else:
            log.info("Stopped before the first checkpoint; there is nothing to resume.")
        raise
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        raise tracking.explain_write_error(error, error.filename or run_dir) from error


def make_module(
    cfg: DictConfig,
    readout: Readout,
    record: Mapping[str, Any] | None = None,
    *,
    largest_molecule: int | None = None,
) -> MoleculeRegression:
    """Model, objective, optimizer and schedule of ``cfg``.

    Args:
        largest_molecule: atoms, for a model that reserves room for it and is not told by ``cfg``.
    """
    found: dict[str, Any] = {}
    if "largest_molecule" in cfg.model and cfg.model.largest_molecule is None:
        found["largest_molecule"] = largest_molecule
    return MoleculeRegression(
        instantiate(cfg.model, readout=readout, **found),
        instantiate(cfg.objective),
        # all: torch and others ask for plain lists and tuples, not config nodes.
        instantiate(cfg.optimizer, _convert_="all"),
        instantiate(cfg.schedule),
        record=record,
        body_lr=FineTuning.of(cfg).body_lr,
    )


def make_trainer(
    cfg: DictConfig,
    execution: Mapping[str, Any],
    run_dir: Path,
    callbacks: list[pl.Callback],
    checkpoint: Path | None,
    record: Callable[[], None],
) -> pl.Trainer:
    """The Trainer with the run's accelerator, callbacks and loggers.

    Args:
        execution: what the accelerator option gives.
        record: writes what the run is; called when training starts, as W&B begins, because a
            resumed run may be refused until then.
    """
    profiler, tracers = make_profiler(cfg.trainer.get("profiler"), run_dir)
    callbacks = [
        # First, so that no meter counts the seconds it takes.
        LambdaCallback(on_train_start=lambda trainer, _: tracking.begin_wandb(trainer.loggers)),
        *callbacks,
        *tracers,
        ValidateAtTheEnd(),
        LambdaCallback(on_train_start=lambda trainer, module: record()),
        *(make_callback(node, run_dir) for node in cfg.callbacks.values() if node is not None),
        *trial_callbacks(),
    ]
    if checkpoint is not None:
        callbacks.insert(0, MovedFolder(run_dir))
    run_dir.mkdir(parents=True, exist_ok=True)
    loggers = instantiate(cfg.logger)(
        run_dir,
        name=run_dir.name,
        config=OmegaConf.to_container(cfg, resolve=True),
        resume_step=None if checkpoint is None else int(load_checkpoint(checkpoint)["global_step"]),
    )
    trainer: pl.Trainer = instantiate(
        cfg.trainer,
        **execution,
        callbacks=[*callbacks, tracking.progress_callback()],
        logger=loggers,
        # Else Lightning adds a checkpoint callback of its own where the config has none.
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
        default_root_dir=str(run_dir),
        profiler=profiler,
        _convert_="all",
    )
    return trainer


def make_callback(node: DictConfig, run_dir: Path) -> pl.Callback:
    """The callback of a config entry; a partial one is completed with the place it writes to."""
    callback = instantiate(node)
    if not isinstance(callback, pl.Callback):
        callback = callback(dirpath=run_dir / "checkpoints")
    assert isinstance(callback, pl.Callback), "check_config lets only callbacks through"
    return callback


def evaluate_run(
    trainer: pl.Trainer,
    module: MoleculeRegression,
    loaders: PackedDataModule,
    data: Data,
    scale: Scale,
    plans: Mapping[str, PackPlan],
    meters: Meters,
) -> dict[str, Any]:
    """Test with the best weights and gather the summary."""
    updates, epochs = trainer.global_step, trainer.current_epoch
    val_mae = trainer.callback_metrics.get("val/mae")
    for keeper in trainer.checkpoint_callbacks:
        if not isinstance(keeper, ModelCheckpoint) or keeper.best_model_score is None:
            continue
        val_mae = keeper.best_model_score
        # Loaded here and not by Lightning, which would hand a moving average's checkpoint to its
        # callback and test the weights that are not averaged.
        best = Path(keeper.best_model_path)
        load_weights(module, load_checkpoint(best), best)
    if val_mae is None:
        raise ValueError(
            f"The run ended after {updates} updates without a validation. Give it more "
            "trainer.max_time, max_steps or max_epochs."
        )
    plan = plans["train"]
    figures = meters.figures(module.model, trainer, data, plan)
    trainer.test(module, loaders, verbose=False)
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
        pack_atoms=plan.atom_capacity,
        num_molecules=plan.num_molecules,
        num_epochs=epochs,
        wall_seconds=0.0,
        **figures,
    )
