"""A molecule as it lies in somebody's file, and the checks that make it one of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, NamedTuple

import numpy as np

from gnnpack.datasets.molecules import LARGEST_ATOMIC_NUMBER

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Frame(NamedTuple):
    """One structure of a file, in the file's units.

    ``number`` counts the frames of the file from 0; ``line`` is where it begins, from 1, in files
    that have lines. ``numbers`` (n,), ``positions`` (n, 3). ``values``: what the file says of the
    molecule, by key. ``arrays``: what it says of atoms, by key, (n, ...).
    """

    number: int
    line: int | None
    numbers: NDArray[Any]
    positions: NDArray[np.float64]
    periodic: bool
    values: Mapping[str, Any]
    arrays: Mapping[str, Any]


class BadFrame(NamedTuple):
    """A frame that cannot be used, and why; ``line``: where the fault is."""

    number: int
    line: int | None
    reason: str


class FrameFault(ValueError):
    """Why a frame cannot be used: a clause that follows the frame's place and a colon."""


def place(path: str, number: int, line: int | None) -> str:
    """Where a frame lies, for people.

    >>> place("data/water.xyz", 3, 40)
    'data/water.xyz, frame 3, line 40'
    """
    where = f"{path}, frame {number}"
    return where if line is None else f"{where}, line {line}"


def check_frame(frame: Frame) -> None:
    """FrameFault for a frame that holds no molecule: no atoms, periodic, no elements, no places."""
    if len(frame.numbers) == 0:
        raise FrameFault("it has no atoms.")
    if frame.periodic:
        raise FrameFault(
            "it is periodic; gnnpack takes molecules and would not see neighbours across the "
            "cell. Remove the cell (pbc) if these are molecules."
        )
    wrong = np.flatnonzero((frame.numbers < 1) | (frame.numbers > LARGEST_ATOMIC_NUMBER))
    if len(wrong):
        raise FrameFault(
            f"its atom {wrong[0]} has the atomic number {frame.numbers[wrong[0]]}; elements have "
            f"1 to {LARGEST_ATOMIC_NUMBER}."
        )
    if frame.positions.shape != (len(frame.numbers), 3):
        raise FrameFault(
            f"its positions have shape {frame.positions.shape}, but {len(frame.numbers)} atoms "
            f"need ({len(frame.numbers)}, 3)."
        )


def vectors(name: str, values: Any, factor: float, num_atoms: int) -> NDArray[np.float32]:
    """Three finite numbers an atom, converted: (num_atoms, 3) float32; FrameFault otherwise."""
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise FrameFault(f"its {name} are no numbers.") from None
    if found.shape != (num_atoms, 3):
        raise FrameFault(
            f"its {name} have shape {found.shape}, but {num_atoms} atoms need ({num_atoms}, 3)."
        )
    # Past 3e38 float32 has no number.
    with np.errstate(over="ignore"):
        converted = (found * factor).astype(np.float32)
    finite = np.isfinite(converted).all(axis=1)
    if not finite.all():
        atom = int(np.argmin(finite))
        raise FrameFault(f"the {name} of its atom {atom} are {found[atom]}, not finite numbers.")
    return converted


def scalar(key: str, values: Mapping[str, Any]) -> float:
    """The finite number under ``key``; FrameFault otherwise."""
    value = values.get(key)
    if value is None:
        known = ", ".join(list(values)[:10]) or "no values at all"
        raise FrameFault(f"it has no {key!r}, only {known}.")
    if not isinstance(value, (str, int, float)):
        array = np.asarray(value)
        if array.size != 1 or array.dtype.kind not in "iuf":
            raise FrameFault(f"its {key} has shape {array.shape}, but a target is one number.")
        value = array.reshape(-1)[0]
    try:
        number = float("nan" if isinstance(value, bool) else value)
    except ValueError:
        raise FrameFault(f"its {key} is {value!r}, which is no number.") from None
    if not np.isfinite(number):
        raise FrameFault(f"its {key} is {value}, which is not a finite number.")
    return number
