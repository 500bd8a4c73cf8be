"""Errors as people read them: what, where, and the cure, without the inside of the program."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Iterator

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

# What is raised on purpose for bad input; anything else is a fault of the program, and its
# traceback is what helps.
EXPECTED = (ValueError, OSError, HydraException, OmegaConfBaseException)
FULL = "HYDRA_FULL_ERROR"


@contextmanager
def errors_for_people(command: str) -> Iterator[None]:
    """End the program with a message where bad input is met; HYDRA_FULL_ERROR=1 shows it all."""
    wants_all = os.environ.get(FULL, "0") not in ("", "0")
    # Hydra then lets errors through instead of printing its own shortened traceback.
    os.environ[FULL] = "1"
    try:
        yield
    except EXPECTED as error:
        if wants_all:
            raise
        # SystemExit prints it to stderr and ends with status 1.
        hint = f"({FULL}=1 shows where in the program.)"
        raise SystemExit(f"{command}: {message(error)}\n{hint}") from error
    finally:
        if not wants_all:
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
    reason = told.__cause__
    if isinstance(told, HydraException) and isinstance(reason, OmegaConfBaseException):
        return f"{told}\n{reason}"
    return str(told)
