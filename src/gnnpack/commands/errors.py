"""Errors as people read them: what, where, and the cure, without the inside of the program."""

from __future__ import annotations

import difflib
import os
import re
import sys
from contextlib import contextmanager
from typing import Iterator

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

# What is raised on purpose for bad input; anything else is a fault of the program, and its
# traceback is what helps.
EXPECTED = (ValueError, OSError, HydraException, OmegaConfBaseException)
FULL = "HYDRA_FULL_ERROR"
# Hydra's launchers that are packages of their own -> launcher option, and the extra of its name.
LAUNCHERS = {"joblib": "local", "submitit_slurm": "slurm", "submitit_local": "slurm", "ray": "ray"}


# While `errors_for_people` has set it itself.
_set_here = False


def wants_tracebacks() -> bool:
    """Whether the user has asked for them, by HYDRA_FULL_ERROR=1."""
    return not _set_here and os.environ.get(FULL, "0") not in ("", "0")


@contextmanager
def errors_for_people(command: str) -> Iterator[None]:
    """End the program with a message where bad input is met; HYDRA_FULL_ERROR=1 shows it all."""
    global _set_here
    wants_all = wants_tracebacks()
    _set_here = not wants_all
    # Hydra then lets errors through instead of printing its own shortened traceback.
    os.environ[FULL] = "1"
    try:
        yield
    except BrokenPipeError:
        # The reader of our output has gone (`... | head`): nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except EXPECTED as error:
        if wants_all:
            raise
        # SystemExit prints it to stderr and ends with status 1.
        hint = f"({FULL}=1 shows where in the program.)"
        raise SystemExit(f"{command}: {message(error)}\n{hint}") from error
    finally:
        if not wants_all:
            _set_here = False
            del os.environ[FULL]


def message(error: BaseException) -> str:
    """The words of the innermost error somebody wrote for people.

    Hydra and OmegaConf wrap what is raised while they compose, resolve and instantiate.
    """
    told = error
    cause = error.__cause__ or error.__context__
    while isinstance(error, (HydraException, OmegaConfBaseException)) and cause is not None:
        if isinstance(cause, (ValueError, OSError)) and not isinstance(
            cause, (HydraException, OmegaConfBaseException)
        ):
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    unknown = re.match(r"Could not override '([^']+)'", str(told))
    if unknown:
        return _unknown_key(unknown.group(1))
    launcher = re.search(r"Could not find 'hydra/launcher/(\w+)'", str(told))
    if launcher and launcher.group(1) in LAUNCHERS:
        option = LAUNCHERS[launcher.group(1)]
        return (
            f"Hydra's launcher {launcher.group(1)} (launcher={option}) is not installed. Run "
            f"`pip install 'gnnpack[{option}]'`, or use launcher=basic."
        )
    reason = told.__cause__
    if isinstance(told, HydraException) and isinstance(reason, OmegaConfBaseException):
        return f"{told}\n{reason}"
    return str(told)


def _unknown_key(key: str) -> str:
    """Hydra would advise to add the key with a +; most often it is misspelt."""
    if key.startswith("shape."):
        return (
            f"There is no setting {key!r} beside shape=auto, which stands for all three limits; "
            "write shape.num_atoms=auto instead."
        )
    if key in _default_keys():
        return (
            f"There is no setting {key!r} beside the others you typed: one of them took its place. "
            "Leave out one of the two."
        )
    options = _options_with(key)
    if options:
        return f"There is no setting {key!r} as things are; it goes with {' or '.join(options)}."
    near = [known for known in _default_keys() if known.split(".")[-1] == key.split(".")[-1]]
    groups = {known.partition(".")[0] for known in _default_keys()}
    near += difflib.get_close_matches(key, [*_default_keys(), *groups], n=1, cutoff=0.7)
    hint = f" Did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""
    return f"There is no setting {key!r}.{hint} `python train.py --cfg job` prints all."


def _options_with(key: str) -> list[str]:
    """Options of the key's config group, e.g. ``accelerator=cpu``, that have the key."""
    from gnnpack.commands.folders import conf_dir

    group, _, rest = key.partition(".")
    files = sorted((conf_dir() / group).glob("*.yaml")) if rest else []
    return [
        f"{group}={file.stem}"
        for file in files
        if rest in _keys_of(OmegaConf.to_container(OmegaConf.load(file), resolve=False))
    ]


def _default_keys() -> list[str]:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from gnnpack.commands.folders import conf_dir

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return _keys_of(OmegaConf.to_container(compose("config"), resolve=False))


def _keys_of(config: object) -> list[str]:
    """Names of all values, e.g. ``optimizer.lr``."""
    keys: list[str] = []

    def walk(node: object, path: str) -> None:
        if isinstance(node, dict):
            for name, child in node.items():
                walk(child, f"{path}.{name}" if path else str(name))
        else:
            keys.append(path)

    walk(config, "")
    return keys
