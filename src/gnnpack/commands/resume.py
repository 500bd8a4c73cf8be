"""Going on with a run: its own config, and what may be changed in it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Iterator, Sequence

from omegaconf import DictConfig, OmegaConf

from gnnpack.commands.folders import rank, resumed_folder
from gnnpack.experiments.job import JOB, LOCK
from gnnpack.experiments.locks import take_lock
from gnnpack.experiments.process import KEY_VARIABLE

MAY_CHANGE = ("trainer", "logger", "accelerator")
# A resumed run writes to its own folder.
PLACES = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")
DATA_DIR = "data_dir"
ABSENT = object()


def resumed_config(cfg: DictConfig, overrides: Sequence[str]) -> tuple[DictConfig, Path]:
    """The resumed run's config with the allowed overrides, and the checkpoint to go on from.

    Args:
        cfg: what this command line composes to, ``resume`` included.
        overrides: the command line.

    Raises:
        ValueError: there is no such run or checkpoint, or something else would change.
    """
    path = Path(cfg.resume)
    folder = resumed_folder(path)
    checkpoint = path if path.suffix == ".ckpt" else folder / "checkpoints" / "last.ckpt"
    if not checkpoint.is_file():
        raise ValueError(
            f"resume={path}: there is no {checkpoint}. The run was stopped before its first "
            "checkpoint; start it again instead."
        )
    kept = OmegaConf.load(folder / "config.yaml")
    assert isinstance(kept, DictConfig), "a run's config.yaml is a mapping"
    for override in overrides:
        key = override.lstrip("+~").split("=", 1)[0].split("@")[0].replace("/", ".")
        if key == "resume" or (key.startswith("hydra.") and key not in PLACES):
            continue
        if key == DATA_DIR:
            _move_data(kept, str(cfg[DATA_DIR]))
        elif key.split(".")[0] in MAY_CHANGE:
            OmegaConf.update(kept, key, OmegaConf.select(cfg, key), merge=False, force_add=True)
        else:
            _refuse_change(kept, cfg, key, override, folder)
    kept.resume = None
    return kept, checkpoint


def refuse_resume(cfg: DictConfig) -> None:
    """ValueError if one of many runs would go on with another one."""
    if cfg.get("resume") is not None:
        raise ValueError(
            "resume= goes on with one run in its own folder and cannot be part of a multirun. "
            "Leave out -m and sweeps=, and resume the runs one by one. A sweep or a search itself "
            "goes on when its own command is given again."
        )


@contextlib.contextmanager
def held_job(folder: Path) -> Iterator[None]:
    """Hold a sweep's job while it is gone on with by hand, as its sweep would; others are free.

    Raises:
        ValueError: the job is run by its sweep.
    """
    if KEY_VARIABLE in os.environ or rank() > 0 or not (folder / JOB).is_file():
        yield
        return
    lock = take_lock(folder / LOCK)
    if lock is None:
        raise ValueError(
            f"resume={folder}: its sweep runs this job now, and goes on with what is left of it "
            "when its command is given again. `gnnpack runs --watch` shows how far it is."
        )
    try:
        yield
    finally:
        os.close(lock)


def _move_data(kept: DictConfig, now: str) -> None:
    """Let every path below the run's data_dir be below this one."""
    before = str(kept[DATA_DIR])

    def moved(node: object) -> object:
        if isinstance(node, dict):
            return {key: moved(child) for key, child in node.items()}
        if isinstance(node, list):
            return [moved(child) for child in node]
        if isinstance(node, str) and (node == before or node.startswith(before + os.sep)):
            return now + node[len(before) :]
        return node

    for key in kept:
        kept[key] = moved(_plain(kept, str(key)))


def _refuse_change(
    kept: DictConfig, cfg: DictConfig, key: str, override: str, folder: Path
) -> None:
    allowed = f"A resumed run may change only {', '.join(MAY_CHANGE)} and {DATA_DIR}"
    if OmegaConf.select(kept, key, default=ABSENT) is ABSENT:
        raise ValueError(
            f"{override} cannot go with resume={folder}: that run's own config decides. {allowed}; "
            f"leave {key} out."
        )
    before, now = (_plain(config, key) for config in (kept, cfg))
    if before != now:
        raise ValueError(
            f"{override} would change {key} of the run in {folder} from {before!r} to {now!r}. "
            f"{allowed}; leave {key} out, or start a new run."
        )


def _plain(config: DictConfig, key: str) -> object:
    value = OmegaConf.select(config, key)
    if OmegaConf.is_config(value):
        return OmegaConf.to_container(value, resolve=True)
    return value
