"""Weights & Biases: offline unless asked, one id for the run's whole life, always closed."""

from __future__ import annotations

import os
import re
import sys
import uuid
from functools import partial
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from pytorch_lightning.loggers import Logger, WandbLogger
from pytorch_lightning.loggers.logger import (  # type: ignore[attr-defined]
    rank_zero_experiment,
)
from pytorch_lightning.utilities.rank_zero import (  # type: ignore[attr-defined]
    rank_zero_only,
)

from gnnpack.tracking.json_file import replace_file
from gnnpack.tracking.wandb_client import import_wandb, logged_in
from gnnpack.tracking.wandb_parts import RESUMED_AT

ID_FILE = "wandb_id.txt"


class LateWandbLogger(WandbLogger):
    """Lightning's logger, whose W&B run is opened by `begin` or the first row.

    A run that is refused before it trains, or goes on, leaves W&B as it was.
    """

    def __init__(self, open_run: Callable[[], Any], **words: Any) -> None:
        super().__init__(**words)
        self._open_run = open_run

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run; None before it is opened."""
        return self._experiment

    @rank_zero_only
    def begin(self) -> None:
        """Open the W&B run, if it is not open."""
        if self._experiment is None:
            self._experiment = self._open_run()

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log one row."""
        self.begin()
        super().log_metrics(metrics, step)


def begin_wandb(loggers: Sequence[Logger]) -> None:
    """Open the W&B run of those that have one: the run trains."""
    for logger in loggers:
        if isinstance(logger, LateWandbLogger):
            logger.begin()


def wandb_logger(
    run_dir: str | os.PathLike[str],
    *,
    project: str,
    name: str,
    offline: bool = True,
    group: str | None = None,
    run_id: str | None = None,
    entity: str | None = None,
    tags: Sequence[str] | None = None,
    job_type: str | None = None,
    config: Mapping[str, Any] | None = None,
    resume_step: int | None = None,
) -> WandbLogger:
    """Lightning's logger for a W&B run in ``<run_dir>/wandb/``, which `begin_wandb` opens.

    The id is ``run_id``, else the one kept in ``<run_dir>/wandb_id.txt``, else a new one; so a
    resumed run is the same W&B run; a W&B agent's own id comes before all. ``config`` is stored at
    the start. ``resume_step``: updates a resumed run has done. Offline nothing leaves the machine.
    ValueError: wandb is missing, or online without a key, or an impossible id.
    """
    run_dir = Path(run_dir)
    if offline:
        # Crash reports of wandb itself go out over the network even when a run is offline.
        os.environ["WANDB_ERROR_REPORTING"] = "false"
    wandb = import_wandb()
    if getattr(rank_zero_only, "rank", 0) != 0:
        return WandbLogger(project=project, name=name, save_dir=run_dir)
    if not offline and not logged_in(wandb):
        raise ValueError(
            "logger.offline=false needs a W&B key and none was found. "
            "Run `wandb login` once (or set WANDB_API_KEY), or keep logger.offline=true."
        )
    run_id = _choose_id(run_dir, _agents_id() or run_id)
    words: dict[str, Any] = {
        "project": project,
        "name": name,
        "id": run_id,
        "group": group,
        "entity": entity,
        "tags": None if tags is None else list(tags),
        "job_type": job_type,
        "config": None if config is None else dict(config),
    }
    open_run = partial(_open_run, run_dir, words, offline=offline, resume_step=resume_step)
    return LateWandbLogger(open_run, project=project, name=name, save_dir=run_dir, id=run_id)


def _open_run(
    run_dir: Path, words: Mapping[str, Any], *, offline: bool, resume_step: int | None
) -> Any:
    wandb = import_wandb()
    with replace_file(run_dir / ID_FILE) as opened:
        opened.write(words["id"] + "\n")
    # A run that an earlier job of this process left open would swallow this one.
    finish_wandb()
    # Lightning's own init sets WANDB_MODE for the whole process, so the next job would inherit it.
    run = wandb.init(
        **words,
        dir=str(run_dir),
        mode="offline" if offline else "online",
        # Offline runs cannot look up the earlier part; `gnnpack wandb sync` joins the parts.
        resume=None if offline else "allow",
        # Captured output would be thousands of redrawn progress bars.
        # Offline it would only advise to go online by another way than logger.offline=false.
        settings=wandb.Settings(console="off", quiet=True, silent=offline),
    )
    run.define_metric("trainer/global_step")
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    if resume_step is not None:
        (Path(run.dir).parent / RESUMED_AT).write_text(f"{resume_step}\n", encoding="utf-8")
    return run


@rank_zero_only
def finish_wandb(exit_code: int = 0) -> None:
    """Close the open W&B run, if any; ``exit_code`` other than 0 marks it as failed."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and getattr(wandb, "run", None) is not None:
        wandb.finish(exit_code=exit_code)


@rank_zero_only
def summarize_wandb(summary: Mapping[str, Any]) -> None:
    """Put the figures that are known into the summary of the open W&B run, if there is one."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and getattr(wandb, "run", None) is not None:
        wandb.run.summary.update({key: v for key, v in summary.items() if v is not None})


def _agents_id() -> str | None:
    """The id that a W&B agent gives a run of its sweep; wandb ignores any other."""
    return os.environ.get("WANDB_RUN_ID") if os.environ.get("WANDB_SWEEP_ID") else None


def _choose_id(run_dir: Path, run_id: str | None) -> str:
    file = run_dir / ID_FILE
    if run_id is None and file.exists():
        run_id = file.read_text(encoding="utf-8").strip()
    if run_id is None:
        run_id = uuid.uuid4().hex[:8]
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", run_id):
        raise ValueError(
            f"the W&B run id {run_id!r} (for {file}) is not 1 to 64 letters, digits, '-' or '_'. "
            f"Give another logger.run_id, or delete {file} to begin a new W&B run."
        )
    return run_id
