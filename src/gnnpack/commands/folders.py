"""Where configs come from and where runs go."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

# What Hydra opens in a run's folder before the run begins; conf/config.yaml.
LOG = "train.log"

PACKAGE = Path(__file__).resolve().parents[1]

# Folders this process has made, and logs it has begun.
_own: set[Path] = set()

# Folders this process has claimed, by what they were asked for: Hydra and Lightning's launcher
# resolve the same expression more than once in a run.
_claimed: dict[tuple[str, str], str] = {}


def conf_dir() -> Path:
    """The `conf` folder: the repository's when the package lies in one, else the wheel's own.

    Raises:
        ValueError: neither is there.
    """
    for folder in (PACKAGE.parents[1] / "conf", PACKAGE / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    raise ValueError(f"No conf/config.yaml beside or inside {PACKAGE}; install gnnpack again.")


def claim_folder(base: str, name: str) -> str:
    """Make ``base/name`` for this process alone; a name already taken gets a number behind it.

    Returns:
        The folder's name below ``base``; the same again when asked again.
    """
    key = (base, name)
    if key not in _claimed:
        candidate, number = name, 1
        while not _make(Path(base) / candidate):
            number += 1
            candidate = f"{name}_{number}"
        _claimed[key] = candidate
    return _claimed[key]


def discard_refused(folder: Path) -> None:
    """Remove the folder of a run that was refused before it wrote anything.

    Only a folder that holds at most the run's log, whose words were on the screen too; and of the
    two only what this process has made.
    """
    folder = folder.resolve()
    log = folder / LOG
    # The log is still open: some systems keep it, and then the folder, until the program ends.
    with contextlib.suppress(OSError):
        if any(path != log for path in folder.iterdir()):
            return
        if {folder, log} & _own and log.exists():
            log.unlink()
        if folder in _own:
            folder.rmdir()


def forget_claims() -> None:
    """A run is over: whoever asks next gets a folder of its own."""
    _claimed.clear()
    _own.clear()


class OwnFolder(Callback):
    """Makes a run's folder before Hydra does, to know what was there before; conf/config.yaml."""

    def on_run_start(self, config: DictConfig, **words: Any) -> None:
        if rank() > 0:
            # It is rank 0's.
            return
        # What cannot be is told when Hydra asks for the folder itself.
        with contextlib.suppress(ValueError):
            folder = Path(str(config.hydra.run.dir))
            if not _make(folder) and not (folder / LOG).exists():
                _own.add((folder / LOG).resolve())


def run_folder(resume: str | None, base: str, name: str) -> str:
    """The folder of this run: a new one, or that of the run it resumes."""
    if resume is not None:
        return str(resumed_folder(Path(resume)))
    if rank() > 0:
        # Only rank 0 writes; the others' logs go where the system cleans up.
        return str(Path(tempfile.gettempdir()) / "gnnpack-ranks" / f"{os.getpid()}")
    return str(Path(base) / claim_folder(base, name))


def rank() -> int:
    """This process's rank, as torchrun, SLURM or Lightning's launcher say it; 0 alone."""
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return 0


def resumed_folder(path: Path) -> Path:
    """The run folder of ``resume=PATH``, which names it or a checkpoint in it.

    Raises:
        ValueError: there is no run.
    """
    folder = path.parent.parent if path.suffix == ".ckpt" else path
    if not (folder / "config.yaml").is_file():
        raise ValueError(
            f"resume={path}: {folder} is not the folder of a run (it has no config.yaml). Give a "
            "folder such as outputs/DATE/TIME_NAME, or a file in its checkpoints/."
        )
    return folder


def sweep_folder(
    sweeper: Mapping[str, Any], chosen: str | None, command_line: Sequence[str], other: str
) -> str:
    """The folder of a sweep's jobs; ``other`` for sweepers that are not of this program.

    The same sweep has the same folder every time, which is how it goes on.
    """
    if not str(sweeper.get("_target_", "")).startswith("hydra_plugins.gnnpack"):
        return other
    from gnnpack.commands.sweep_jobs import sweep_name

    return str(Path("outputs", "sweeps", sweep_name(chosen, sweeper, command_line)))


def parallel_jobs() -> int:
    """Jobs at once with launcher=local: one a GPU, 2 where there is none."""
    from gnnpack.experiments.gpus import gpu_numbers

    return len(gpu_numbers()) or 2


def register_resolvers() -> None:
    """Make what the config files use, functions and the group `sweeps`, known to Hydra."""
    from gnnpack.commands.sweeps_group import register_sweeps

    register_sweeps()
    known: dict[str, Callable[..., Any]] = {
        "run_folder": run_folder,
        "job_folder": claim_folder,
        "sweep_folder": sweep_folder,
        "parallel_jobs": parallel_jobs,
    }
    for name, function in known.items():
        OmegaConf.register_new_resolver(name, function, replace=True)


def _make(folder: Path) -> bool:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
    except FileExistsError:
        return False
    except OSError as error:
        raise ValueError(
            f"The run's folder {folder} cannot be made: {error}. Start where you may write, or set "
            "hydra.run.dir=FOLDER."
        ) from error
    _own.add(folder.resolve())
    return True
