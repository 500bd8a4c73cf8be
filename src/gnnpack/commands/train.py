"""`python train.py` and `gnnpack train`."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from gnnpack.commands.errors import EXPECTED, errors_for_people
from gnnpack.commands.folders import (
    conf_dir,
    discard_refused,
    forget_claims,
    register_resolvers,
)
from gnnpack.commands.job_list import key_of
from gnnpack.commands.resume import held_job, refuse_resume, resumed_config
from gnnpack.commands.variant import expand_variant, named_variant
from gnnpack.experiments.process import KEY_VARIABLE, die_with_parent

# Before Hydra composes: the config files use them.
register_resolvers()


def task(cfg: DictConfig) -> float:
    """One job; returns the validation MAE, for sweepers that search."""
    from gnnpack.commands.finetune import with_checkpoints_model
    from gnnpack.run import run

    choices = HydraConfig.get()
    run_dir = Path(choices.runtime.output_dir)
    overrides = list(choices.overrides.task)
    checkpoint: Path | None = None
    try:
        if cfg.resume is not None:
            if choices.mode == RunMode.MULTIRUN:
                refuse_resume(cfg)
            cfg, checkpoint = resumed_config(cfg, overrides)
        else:
            check_job_key(cfg)
            cfg = with_checkpoints_model(cfg, overrides, choices.runtime.choices["model"])
        quieten()
        told = [*overrides, *named_variant(choices.job.env_set)]
        with held_job(run_dir) if checkpoint is not None else contextlib.nullcontext():
            summary = run(cfg, run_dir, overrides=told, checkpoint=checkpoint)
    except EXPECTED:
        discard_refused(run_dir)
        raise
    finally:
        forget_claims()
    return float(summary.get("val_mae", "nan"))


def check_job_key(cfg: DictConfig) -> None:
    """In a job of a sweep: refuse another config than the one the sweep has listed."""
    listed = os.environ.get(KEY_VARIABLE)
    if listed is not None and key_of(cfg) != listed:
        raise ValueError(
            f"The configuration changed since the sweep began: this job was {listed} then. Start "
            "the sweep again."
        )


def quieten() -> None:
    """Only what a user can act on: the run says the rest itself."""
    for name in ("pytorch_lightning", "lightning_fabric", "pytorch_lightning.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for chatter in (
        # One process on a machine with SLURM installed is what the user asked for.
        ".*`srun` command is available.*",
        # The run folder is this run's own, made a moment ago.
        ".*Checkpoint directory .* exists and is not empty.*",
        # Small data sets have fewer batches than log_every_n_steps.
        ".*The number of training batches .* is smaller than the logging interval.*",
        ".*GPU available but not used.*",
        # torch 2.0, about its own reading of a checkpoint.
        ".*TypedStorage is deprecated.*",
        # Lightning 2.6 with torch 2.13 and newer.
        ".*LeafSpec.*",
    ):
        warnings.filterwarnings("ignore", message=chatter)


def main() -> None:
    """Compose the config from the command line and run the job or jobs."""
    die_with_parent()
    with errors_for_people("train"):
        sys.argv[1:] = expand_variant(sys.argv[1:])
        wrapped = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")
        wrapped(task)()


if __name__ == "__main__":
    main()
