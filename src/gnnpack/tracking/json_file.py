"""Files that are either the old ones or whole new ones, and errors that say what to do."""

from __future__ import annotations

import errno
import json
import math
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, TextIO, Union

import numpy as np

AnyPath = Union[str, "os.PathLike[str]"]

_CURES = {
    errno.ENOSPC: "The disk is full: free some space, or choose another output folder.",
    errno.EDQUOT: "Your disk quota is used up: free some space, or choose another output folder.",
    errno.EROFS: "The disk is read-only: choose an output folder you can write to.",
    errno.EACCES: "You may not write there: choose another output folder or change its rights.",
    errno.EPERM: "You may not write there: choose another output folder or change its rights.",
    errno.ENOENT: "The folder does not exist: create it first.",
}


def explain_write_error(error: OSError, path: AnyPath) -> OSError:
    """The same error with the file's path and the cure in its message."""
    number = error.errno or errno.EIO
    cure = _CURES.get(number, "Check the disk, or choose another output folder.")
    # This constructor picks the subclass that belongs to the number, PermissionError for example.
    return OSError(number, f"cannot write: {os.strerror(number)}. {cure}", os.fspath(path))


@contextmanager
def replace_file(path: AnyPath) -> Iterator[TextIO]:
    """Open a text file beside ``path`` that takes its place when the block ends without an error.

    OSError (disk full, read-only, no folder) names the path and the cure; the old file stays.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("w", newline="", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise explain_write_error(error, path) from error
    finally:
        if beside.exists():
            beside.unlink()


def write_json(path: AnyPath, obj: Any) -> None:
    """Write ``obj`` as indented JSON, atomically; numpy values and paths become plain ones.

    ValueError names the key of a NaN, an infinity or a value JSON has no form for.
    """
    text = json.dumps(_plain(obj, "", path), indent=2, allow_nan=False, ensure_ascii=False)
    with replace_file(path) as file:
        file.write(text + "\n")


def _plain(obj: Any, key: str, path: AnyPath) -> Any:
    if obj is None or isinstance(obj, (str, bool, int)):
        return obj
    if isinstance(obj, float):
        return _finite(obj, key, path)
    if isinstance(obj, dict):
        return {str(k): _plain(v, f"{key}.{k}" if key else str(k), path) for k, v in obj.items()}
    if isinstance(obj, (list, tuple)):
        return [_plain(value, f"{key}[{i}]", path) for i, value in enumerate(obj)]
    if isinstance(obj, (np.generic, np.ndarray)):
        return _plain(obj.tolist(), key, path)
    if isinstance(obj, os.PathLike):
        return os.fspath(obj)
    raise ValueError(
        f"{key or 'the object'} for {os.fspath(path)} is a {type(obj).__name__}, which JSON "
        "cannot hold; pass a number, text, list or dict."
    )


def _finite(value: float, key: str, path: AnyPath) -> float:
    if math.isfinite(value):
        return value
    raise ValueError(
        f"{key or 'the number'} is {value}, so {os.fspath(path)} was not written: a result must "
        "be finite. Look for the first NaN in metrics.csv, or pass None for 'not measured'."
    )
