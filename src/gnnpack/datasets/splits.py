"""Which molecules train, validate and test: by seed or from a list, on the data set's own ids."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Mapping, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

PARTS = ("train", "val", "test")


class Split(NamedTuple):
    """Rows of the store in each part, int64, ascending, without overlap."""

    train: NDArray[np.int64]
    val: NDArray[np.int64]
    test: NDArray[np.int64]


class SplitSpec(NamedTuple):
    """How to split: counts (int) or fractions (float); ``test`` None = the rest.

    ``file`` names a list of ids and then decides alone. ``seed`` None = the run's seed.
    """

    train: float | None = None
    val: float | None = None
    test: float | None = None
    file: str | None = None
    seed: int | None = None

    @classmethod
    def parse(cls, spec: Mapping[str, object] | SplitSpec) -> SplitSpec:
        """Take any mapping with these keys (a config node too); ValueError for another key."""
        if isinstance(spec, SplitSpec):
            return spec
        unknown = [str(key) for key in spec if key not in cls._fields]
        if unknown:
            raise ValueError(
                f"dataset.split has the unknown key {', '.join(unknown)}. "
                f"Available: {', '.join(cls._fields)}."
            )
        return cls(**{str(key): spec[key] for key in spec})  # type: ignore[arg-type]


def make_split(
    ids: ArrayLike,
    *,
    train: float | None = None,
    val: float | None = None,
    test: float | None = None,
    seed: int = 0,
    file: str | None = None,
) -> Split:
    """Split M molecules with the given ids (M,); the same on every machine and for any row order.

    ``train``, ``val``, ``test`` are counts (int >= 1) or fractions of M (float between 0 and 1,
    rounded down); ``test`` None takes the rest. With ``file`` (see `load_split`) the sizes are
    not used. ValueError for sizes that do not fit, ids that occur twice or are unknown.

    >>> split = make_split([30, 10, 20, 40], train=2, val=1)
    >>> [len(part) for part in split]
    [2, 1, 1]
    """
    numbers = np.asarray(ids, dtype=np.int64)
    order = np.argsort(numbers, kind="stable")
    twice = np.flatnonzero(np.diff(numbers[order]) == 0)
    if len(twice):
        raise ValueError(
            f"The id {numbers[order][twice[0]]} occurs twice; a split needs ids that differ."
        )
    if file is not None:
        return load_split(file, numbers)
    sizes = _sizes(len(numbers), {"train": train, "val": val, "test": test})
    # RandomState: numpy has frozen its stream, so a split is the same in every version.
    rows = order[np.random.RandomState(seed).permutation(len(numbers))]
    ends = np.cumsum(sizes)
    return _checked([np.sort(part) for part in np.split(rows[: ends[-1]], ends[:-1])])


def load_split(path: str, ids: NDArray[np.int64]) -> Split:
    """Rows for a list of ids: .npz or .json with `train`, `val` and (optional) `test`.

    ValueError when a list is missing, or holds ids that are unknown or occur twice.
    """
    parts = []
    for name, wanted in _read_lists(path).items():
        rows, unknown = find_rows(ids, wanted)
        if len(unknown):
            raise ValueError(
                f"{path}: {len(unknown)} of {len(wanted)} ids in {name!r} are not in the data "
                f"set, the first are {unknown[:5].tolist()}. The list must hold the data set's "
                f"own molecule numbers ({ids.min()} to {ids.max()}), not rows."
            )
        parts.append(np.sort(rows))
    return _checked(parts, place=f"{path}: ")


def find_rows(
    ids: NDArray[np.int64], wanted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows (n,) of the ids ``wanted`` (n,), and those of them that ``ids`` (M,) does not hold.

    >>> find_rows(np.array([30, 10, 20]), np.array([10, 30]))
    (array([1, 0]), array([], dtype=int64))
    """
    order = np.argsort(ids, kind="stable")
    place = np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)
    rows = order[place]
    return rows, wanted[ids[rows] != wanted]


def save_split(split: Split, ids: NDArray[np.int64], path: str) -> None:
    """Write the ids (not rows) of each part as .npz; `load_split` reads it."""
    lists = {name: np.sort(ids[rows]) for name, rows in zip(PARTS, split)}
    # An open file, because numpy adds .npz to a name that lacks it.
    with open(path, "wb") as file:
        np.savez_compressed(file, **lists)  # type: ignore[arg-type]


def _read_lists(path: str) -> dict[str, NDArray[np.int64]]:
    if not os.path.isfile(path):
        raise ValueError(f"dataset.split.file is {path}, which is not a file.")
    try:
        if path.endswith(".json"):
            with open(path, encoding="utf-8") as file:
                lists = dict(json.load(file))
        else:
            with np.load(path, allow_pickle=False) as arrays:
                lists = {name: arrays[name] for name in arrays.files}
    except Exception as error:
        raise ValueError(f"{path} cannot be read as a split (.npz or .json): {error}") from error
    missing = [name for name in ("train", "val") if name not in lists]
    if missing:
        raise ValueError(
            f"{path} has the lists {sorted(lists)} but not {' and '.join(missing)}. "
            "A split file holds ids under train, val and, if wanted, test."
        )
    found = {}
    for name in PARTS:
        values = np.asarray(lists.get(name, []))
        if values.ndim != 1 or (len(values) and not np.issubdtype(values.dtype, np.integer)):
            raise ValueError(f"{path}: {name!r} must be a flat list of whole numbers.")
        found[name] = values.astype(np.int64)
    return found


def _sizes(num_molecules: int, wanted: Mapping[str, float | None]) -> list[int]:
    sizes: list[int] = []
    for name, size in wanted.items():
        if size is None and name == "test":
            sizes.append(num_molecules - sum(sizes))
            break
        if _is_count(size, smallest=0 if name == "test" else 1):
            sizes.append(int(size))  # type: ignore[arg-type]
        elif isinstance(size, float) and 0 < size < 1:
            # The small term keeps 0.29 of 100 at 29, though 0.29 * 100 is 28.999...
            sizes.append(int(size * num_molecules + 1e-9))
        else:
            raise ValueError(
                f"dataset.split.{name} is {size!r}; give a count (1 or more) or a fraction "
                "between 0 and 1."
            )
        if sizes[-1] == 0 and name != "test":
            raise ValueError(
                f"dataset.split.{name}={size} of {num_molecules} molecules leaves none. Raise it."
            )
    if sum(sizes) > num_molecules or sizes[-1] < 0:
        asked = ", ".join(f"{name}={size}" for name, size in wanted.items())
        raise ValueError(
            f"dataset.split asks for {asked}, but there are only {num_molecules} molecules. "
            "Lower the counts."
        )
    return sizes


def _is_count(size: object, smallest: int) -> bool:
    whole = isinstance(size, (int, np.integer)) and not isinstance(size, bool)
    return whole and int(size) >= smallest  # type: ignore[call-overload]


def _checked(parts: list[NDArray[np.int64]], place: str = "") -> Split:
    rows = np.sort(np.concatenate(parts))
    if (np.diff(rows) == 0).any():
        # From a list it is the user's; from the seed it cannot be.
        assert place, "split bug: a molecule is in two parts"
        raise ValueError(f"{place}a molecule occurs twice; the parts of a split must not overlap.")
    train, val, test = parts
    return Split(train, val, test)
