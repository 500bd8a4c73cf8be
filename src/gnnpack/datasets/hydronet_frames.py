"""Frames of HydroNet's xyz files from their text, compiled; and the slow way, which is the rule.

A frame is a line with the number of atoms, a line that ends in the energy, and a line an atom:
``O`` or ``H`` and three coordinates. All frames of a file have equally many lines. The file of
eleven waters has energy lines with other words than the rest (torch_geometric.datasets.hydro_net
special-cases them); the last word is the energy in all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gnnpack.datasets.hydronet_kernel import compiled_kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ATOMIC_NUMBERS = {b"H": 1, b"O": 8}
# No atom's line is shorter: an element, three numbers of a digit, what parts and ends them.
_SHORTEST_LINE = 8


class Frames(NamedTuple):
    """F clusters of N atoms: z (F, N) uint8, pos (F, N, 3) float32 Å, energies (F,) float64."""

    z: NDArray[np.uint8]
    pos: NDArray[np.float32]
    energies: NDArray[np.float64]


def read_frames(
    text: bytes, num_atoms: int, at_end: bool, place: str, first_frame: int = 0
) -> tuple[Frames, int]:
    """All whole frames at the beginning of ``text``, and how many bytes they take.

    ``at_end``: no text follows, so the last line need not end in a newline. ``first_frame`` is
    the number of the first frame in its file. ValueError with ``place`` and the line for text
    that is no frame. Compiled with numba where it is installed; the same without.
    """
    kernel = compiled_kernel()
    room = 0 if kernel is None else len(text) // (num_atoms * _SHORTEST_LINE) + 1
    found = _empty(room, num_atoms)
    characters = np.frombuffer(text, dtype=np.uint8)
    pieces, num_frames, at = [], 0, 0
    while True:
        count = 0
        if kernel is not None:
            count, used = kernel(characters[at:], at_end, *found)
            z, pos, energies = (column[:count].copy() for column in found)
            pieces.append(Frames(z, pos, energies))  # type: ignore[arg-type]
            at += used
        # What the kernel leaves is an incomplete frame, or one only the slow way can judge.
        line = (first_frame + num_frames + count) * (num_atoms + 2)
        frame, used = read_frame(text, at, num_atoms, at_end, f"{place}, line", line)
        num_frames += count
        if frame is None:
            break
        pieces.append(frame)
        num_frames += 1
        at += used
    pieces = pieces or [_empty(0, num_atoms)]
    return Frames(*(np.concatenate(columns) for columns in zip(*pieces))), at


def read_frame(
    text: bytes, start: int, num_atoms: int, at_end: bool, place: str, first_line: int
) -> tuple[Frames | None, int]:
    """The frame at ``start``, and its bytes; None when it is not all there (see `read_frames`)."""
    lines, at = [], start
    for _ in range(num_atoms + 2):
        stop = text.find(b"\n", at)
        if stop < 0:
            stop = len(text) - 1
            if not at_end or at > stop:
                break
        lines.append(text[at : stop + 1].split())
        at = stop + 1
    if len(lines) < num_atoms + 2:
        if at_end and any(lines):
            raise ValueError(
                f"{place} {first_line + len(lines)}: the file ends within a cluster; it is cut "
                "off. Fetch it again."
            )
        return None, 0
    for number, words in enumerate(lines):
        wrong = _wrong(words, number, num_atoms)
        if wrong:
            raise ValueError(
                f"{place} {first_line + number + 1}: {wrong} in {b' '.join(words)[:60]!r}; the "
                "file is damaged. Fetch it again."
            )
    z = np.array([[_ATOMIC_NUMBERS[words[0]] for words in lines[2:]]], dtype=np.uint8)
    pos = np.array([[[float(word) for word in words[1:]] for words in lines[2:]]])
    energies = np.array([float(lines[1][-1])])
    return Frames(z, pos.astype(np.float32), energies), at - start


def _wrong(words: list[bytes], number: int, num_atoms: int) -> str:
    """What is wrong with line ``number`` of a frame; nothing when it is right."""
    if number == 0:
        counted = len(words) == 1 and _is_number(words[0]) and float(words[0]) == num_atoms
        return "" if counted else f"no count of {num_atoms} atoms"
    if number == 1:
        return "" if words and _is_number(words[-1]) else "no energy at the end"
    if len(words) != 4 or words[0] not in _ATOMIC_NUMBERS or not all(map(_is_number, words[1:])):
        return "no O or H with three coordinates"
    return ""


def _is_number(word: bytes) -> bool:
    try:
        return bool(np.isfinite(float(word)))
    except ValueError:
        return False


def _empty(num_frames: int, num_atoms: int) -> Frames:
    return Frames(
        np.empty((num_frames, num_atoms), dtype=np.uint8),
        np.empty((num_frames, num_atoms, 3), dtype=np.float32),
        np.empty(num_frames, dtype=np.float64),
    )
