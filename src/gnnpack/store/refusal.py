"""What is said when the disk refuses a store."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterator

if TYPE_CHECKING:
    from gnnpack.store.contract import DatasetLike


def expected_bytes(dataset: DatasetLike) -> int | None:
    """Bytes the store will take, or None where the data set does not know its counts."""
    if dataset.expected_molecules is None or dataset.expected_atoms is None:
        return None
    per_molecule = 8 * (2 + len(dataset.target_infos))
    per_atom = 13 + (12 if getattr(dataset, "has_forces", False) else 0)
    return dataset.expected_atoms * per_atom + dataset.expected_molecules * per_molecule


@contextmanager
def explain_refusal(folder: str, needed: int | None) -> Iterator[None]:
    """Turn the system's refusal to write into a sentence with a cure, same errno."""
    try:
        yield
    except OSError as error:
        size = f" It needs about {needed / 1e6:,.0f} MB." if needed else ""
        raise OSError(
            error.errno,
            f"cannot write the store in {os.path.dirname(folder) or '.'}: "
            f"{error.strerror or error}.{size} Choose another place with data_dir=FOLDER or the "
            "environment variable GNNPACK_DATA",
        ) from error


def check_room(folder: str, needed: int | None) -> None:
    """OSError when fewer than ``needed`` bytes are free where ``folder`` lies."""
    free = shutil.disk_usage(folder).free
    if needed is not None and free < needed:
        raise OSError(errno.ENOSPC, f"only {free / 1e6:,.0f} MB are free")
