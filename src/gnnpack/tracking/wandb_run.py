"""Weights & Biases: offline unless asked, one id for the run's whole life, always closed."""

from __future__ import annotations

import inspect
import os
import re
import sys
import uuid
from pathlib import Path
from typing import Any, Mapping, Sequence

from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities.rank_zero import (  # type: ignore[attr-defined]
    rank_zero_only,
)

from gnnpack.tracking.json_file import replace_file

ID_FILE = "wandb_id.txt"


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
    config: Mapping[str, Any] | None = None,
) -> WandbLogger:
    """Open a W&B run in ``<run_dir>/wandb/`` and give Lightning's logger for it.

    The id is ``run_id``, else the one kept in ``<run_dir>/wandb_id.txt``, else a new one; so a
    resumed run is the same W&B run. ``config`` is stored at the start. Offline nothing leaves
    the machine. ValueError: wandb is missing, or online without a key, or an impossible id.
    """
    run_dir = Path(run_dir)
    if offline:
        # Crash reports of wandb itself go out over the network even when a run is offline.
        os.environ["WANDB_ERROR_REPORTING"] = "false"
    wandb = _import_wandb()
    if getattr(rank_zero_only, "rank", 0) != 0:
        return WandbLogger(project=project, name=name, save_dir=run_dir)
    if not offline and not _logged_in(wandb):
        raise ValueError(
            "logger.offline=false needs a W&B key and none was found. "
            "Run `wandb login` once (or set WANDB_API_KEY), or keep logger.offline=true."
        )
    run_id = _keep_id(run_dir, run_id)
    # A run that an earlier job of this process left open would swallow this one.
    finish_wandb()
    run = wandb.init(
        project=project,
        name=name,
        id=run_id,
        dir=str(run_dir),
        group=group,
        entity=entity,
        tags=None if tags is None else list(tags),
        config=None if config is None else dict(config),
        mode="offline" if offline else "online",
        # Offline runs cannot look up the earlier part; `wandb sync --append` joins the parts.
        resume=None if offline else "allow",
        # Captured output would be thousands of redrawn progress bars.
        # Offline it would only advise to go online by another way than logger.offline=false.
        settings=wandb.Settings(console="off", quiet=True, silent=offline),
    )
    run.define_metric("trainer/global_step")
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    # Lightning's own init sets WANDB_MODE for the whole process, so the next job would inherit it.
    return WandbLogger(project=project, name=name, save_dir=run_dir, id=run_id, experiment=run)


@rank_zero_only
def finish_wandb(exit_code: int = 0) -> None:
    """Close the open W&B run, if any; ``exit_code`` other than 0 marks it as failed."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and getattr(wandb, "run", None) is not None:
        wandb.finish(exit_code=exit_code)


def _import_wandb() -> Any:
    try:
        import wandb
    except ImportError as error:
        raise ValueError(
            "logger=wandb needs the package wandb, which is not installed. "
            "Run `pip install wandb`, or choose logger=csv."
        ) from error
    return wandb


def _logged_in(wandb: Any) -> bool:
    if "prompt" not in inspect.signature(wandb.login).parameters:
        return wandb.api.api_key is not None
    try:
        return bool(wandb.login(prompt=False, verify=False))
    except wandb.errors.Error:
        return False


def _keep_id(run_dir: Path, run_id: str | None) -> str:
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
    with replace_file(file) as opened:
        opened.write(run_id + "\n")
    return run_id
