"""The loggers of a run: CSV always, W&B beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Mapping, Sequence, Union

from pytorch_lightning.loggers import Logger

from gnnpack.tracking.csv_metrics import MetricsCSV
from gnnpack.tracking.wandb_run import wandb_logger
from gnnpack.tracking.wandb_words import sweep_words

AnyPath = Union[str, "os.PathLike[str]"]


def csv_only(
    run_dir: AnyPath,
    *,
    name: str,
    config: Mapping[str, Any] | None = None,
    resume_step: int | None = None,
) -> list[Logger]:
    """``metrics.csv`` and nothing else; arguments as for `csv_and_wandb`."""
    return [MetricsCSV(run_dir, resume_step=resume_step)]


def csv_and_wandb(
    run_dir: AnyPath,
    *,
    name: str,
    config: Mapping[str, Any] | None = None,
    resume_step: int | None = None,
    project: str = "gnnpack",
    offline: bool = True,
    entity: str | None = None,
    group: str | None = None,
    tags: Sequence[str] | None = None,
    job_type: str | None = None,
) -> list[Logger]:
    """``metrics.csv`` and a W&B run.

    A job of a sweep has group, job type, tags and name of its sweep where none are given.

    Args:
        name: of the W&B run that is no job of a sweep.
        config: kept with the W&B run.
        resume_step: updates a resumed run has done; None for a new run.

    Raises:
        ValueError: what `wandb_logger` refuses.
    """
    words = sweep_words(Path(run_dir))
    wandb = wandb_logger(
        run_dir,
        project=project,
        name=words.get("name", name),
        offline=offline,
        entity=entity,
        group=group or words.get("group"),
        tags=tags or words.get("tags"),
        job_type=job_type or words.get("job_type"),
        config=config,
        resume_step=resume_step,
    )
    return [MetricsCSV(run_dir, resume_step=resume_step), wandb]
