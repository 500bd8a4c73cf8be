"""What Hydra's launchers and flags mean for the jobs of a sweep."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from omegaconf import DictConfig

from gnnpack.commands.errors import FULL, LAUNCHERS, wants_tracebacks
from gnnpack.commands.folders import conf_dir, parallel_jobs
from gnnpack.experiments.devices import core_numbers

# Launchers under which a scheduler, not we, gives a job its device.
SCHEDULERS = ("submitit", "ray")
POOL = "joblib"
# submitit's other one: the jobs are processes of this machine, all of them at once.
ALL_AT_ONCE = "submitit_launcher.LocalLauncher"
# Hydra's own folders of configs, and the name of the first.
SEARCH_PATH = "hydra.searchpath="
CONFIG = "config"


def is_pool(launcher: DictConfig) -> bool:
    """Whether the jobs are run by processes that this one starts and ends."""
    return POOL in _target(launcher)


def has_scheduler(launcher: DictConfig) -> bool:
    """Whether devices are somebody else's matter."""
    target = _target(launcher)
    return ALL_AT_ONCE not in target and any(name in target for name in SCHEDULERS)


def jobs_at_once(launcher: DictConfig) -> int | None:
    """Jobs that share this machine's cores; None if each has all of them."""
    if is_pool(launcher):
        # joblib's own meaning of a number below 1.
        number = int(launcher.n_jobs)
        return number if number > 0 else len(core_numbers())
    if ALL_AT_ONCE in _target(launcher):
        each = launcher.get("cpus_per_task")
        return parallel_jobs() if each is None else max(1, len(core_numbers()) // int(each))
    return None


def hydra_flags(config: DictConfig) -> tuple[str, ...]:
    """The words by which a job's process finds the configs that this one was given beside conf/."""
    words = [word for word in config.hydra.overrides.hydra if SEARCH_PATH in word]
    for source in config.hydra.runtime.config_sources:
        if source.provider == "command-line":
            words.append(f"--config-dir={source.path}")
        is_folder = source.provider == "main" and source.schema == "file"
        if is_folder and Path(source.path).resolve() != conf_dir().resolve():
            words.append(f"--config-path={source.path}")
    if config.hydra.job.config_name != CONFIG:
        words.append(f"--config-name={config.hydra.job.config_name}")
    return tuple(words)


def job_environment() -> tuple[tuple[str, str], ...]:
    """What every job's process is told, beside what this one was."""
    # In a job of SLURM Lightning then starts its ranks itself, and does not count SLURM's tasks.
    told = {"SLURM_JOB_NAME": "interactive"}
    if not wants_tracebacks():
        # Its last line is the reason that is kept.
        told[FULL] = "0"
    if sys.path[0] and not getattr(sys.flags, "safe_path", False):
        # What can be imported where the sweep was started, and no more: `python -m` looks into the
        # working folder first (not with this variable, from Python 3.11 on).
        told["PYTHONSAFEPATH"] = "1"
        before = os.environ.get("PYTHONPATH")
        told["PYTHONPATH"] = os.pathsep.join([sys.path[0], *([before] if before else [])])
    return tuple(told.items())


def refuse_tasks(launcher: DictConfig) -> None:
    """ValueError if a scheduler would start a job's program several times."""
    for key in ("tasks_per_node", "nodes"):
        number = launcher.get(key) or 1
        if has_scheduler(launcher) and int(number) > 1:
            raise ValueError(
                f"hydra.launcher.{key} is {number}; a job is one process, which starts the others "
                f"itself, on one machine. Leave {key} out and set accelerator.devices and "
                "hydra.launcher.gpus_per_node."
            )


def lacking(launcher: DictConfig, error: ImportError) -> ValueError:
    """What to install where a launcher is here and what it launches with is not."""
    names = {name.split("_")[0]: option for name, option in LAUNCHERS.items()}
    option = next((names[name] for name in names if name in _target(launcher)), None)
    if option is None:
        return ValueError(f"{error}. Use launcher=basic.")
    return ValueError(
        f"{error}, which launcher={option} needs. Run `pip install 'gnnpack[{option}]'`, or use "
        "launcher=basic."
    )


def _target(launcher: DictConfig) -> str:
    return str(launcher.get("_target_", ""))
