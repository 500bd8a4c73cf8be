"""Frames of .xyz and extended .xyz files, a frame in memory at a time.

The format: the number of atoms, a comment (in extended files ``key=value`` pairs), a line an atom.
`Properties` names the columns, see https://github.com/libAtoms/extxyz.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zlib
from typing import IO, Any, Iterator, NamedTuple

import numpy as np

from gnnpack.datasets.structure_comment import Column, Comment, parse_comment
from gnnpack.datasets.structure_frames import BadFrame, Frame, FrameFault

OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_COUNT = re.compile(r"\s*\d+\s*$")
_SHOWN = 60


class Lines(NamedTuple):
    """The lines of one frame; ``first`` counts from 1. ``fault``: what is wrong, and its line."""

    first: int
    text: list[str]
    fault: tuple[int, str] | None = None


class _LineFault(FrameFault):
    """A fault in the atom of this number."""

    def __init__(self, atom: int, reason: str) -> None:
        super().__init__(reason)
        self.atom = atom


def read_extxyz(path: str) -> Iterator[Frame | BadFrame]:
    """All frames of a file, also .gz, .bz2 and .xz, in its order.

    A damaged frame is a `BadFrame`; the next one begins at the next line that holds nothing but a
    whole number. ValueError when the file cannot be read to its end.
    """
    opener = OPENERS.get(path[path.rfind(".") :], open)
    try:
        with opener(path, "rt", encoding="utf-8", errors="replace") as file:
            for number, lines in enumerate(split_frames(file)):
                yield _frame(number, lines)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"{path} cannot be read to its end: {error}. Fetch it again.") from error


def split_frames(file: IO[str] | Iterator[str]) -> Iterator[Lines]:
    """Cut a file where its frames begin; blank lines between frames do not count."""
    numbered = enumerate(file, start=1)
    ahead = _next_full(numbered)
    while ahead is not None:
        first, line = ahead
        text = [line]
        fault: tuple[int, str] | None = None
        if not _COUNT.match(line):
            fault = (first, f"{_shown(line)} stands where the number of atoms should.")
            ahead = _next_count(numbered)
            yield Lines(first, text, fault)
            continue
        wanted = int(line)
        comment = next(numbered, None)
        text += [] if comment is None else [comment[1]]
        ahead = _take_atoms(numbered, text, wanted + 2)
        if len(text) < wanted + 2:
            last = first + len(text) - 1
            there = max(0, len(text) - 2)
            yield Lines(first, text, (last, f"only {there} of its {wanted} atoms are there."))
            continue
        if ahead is not None and not ahead[1].strip():
            ahead = _next_full(numbered)
        if ahead is not None and not _COUNT.match(ahead[1]):
            fault = (ahead[0], f"{_shown(ahead[1])} follows its {wanted} atoms.")
            ahead = _next_count(numbered)
        yield Lines(first, text, fault)


def _take_atoms(
    numbered: Iterator[tuple[int, str]], text: list[str], length: int
) -> tuple[int, str] | None:
    """Fill ``text`` to ``length`` lines; give the line after, or a count that comes too soon."""
    for line in numbered:
        if len(text) == length or _COUNT.match(line[1]):
            return line
        text.append(line[1])
    return None


def _next_full(numbered: Iterator[tuple[int, str]]) -> tuple[int, str] | None:
    return next((found for found in numbered if found[1].strip()), None)


def _next_count(numbered: Iterator[tuple[int, str]]) -> tuple[int, str] | None:
    return next((found for found in numbered if _COUNT.match(found[1])), None)


def _frame(number: int, lines: Lines) -> Frame | BadFrame:
    if lines.fault is not None:
        return BadFrame(number, *lines.fault)
    try:
        comment = parse_comment(lines.text[1])
        atoms = _columns(comment, lines.text[2:])
    except _LineFault as fault:
        return BadFrame(number, lines.first + 2 + fault.atom, str(fault))
    except FrameFault as fault:
        return BadFrame(number, lines.first + 1, str(fault))
    numbers, positions = atoms.pop("species"), atoms.pop("pos")
    return Frame(number, lines.first, numbers, positions, comment.periodic, comment.values, atoms)


def _columns(comment: Comment, text: list[str]) -> dict[str, Any]:
    """The real columns by name, and the atomic numbers as species."""
    rows = [line.split() for line in text]
    width = comment.columns[-1].stop
    for atom, row in enumerate(rows):
        # A plain file may have more columns, which nothing names.
        if len(row) < width or (len(row) > width and comment.names_columns):
            raise _LineFault(
                atom, f"{_shown(text[atom])} has {len(row)} fields where {width} are expected."
            )
    found: dict[str, Any] = {}
    for column in comment.columns:
        if column.name == "species":
            found["species"] = _atomic_numbers(rows, column)
        elif column.kind == "R":
            found[column.name] = _reals(rows, column)
    return found


def _reals(rows: list[list[str]], column: Column) -> Any:
    cells = [row[column.start : column.stop] for row in rows]
    try:
        return np.array(cells, dtype=np.float64).reshape(len(rows), column.stop - column.start)
    except ValueError:
        for atom, row in enumerate(cells):
            for cell in row:
                _refuse_text(atom, cell)
        raise


def _atomic_numbers(rows: list[list[str]], column: Column) -> Any:
    # Imported here because ASE takes half a second.
    from ase.data import atomic_numbers

    numbers = []
    for atom, row in enumerate(rows):
        cell = row[column.start]
        known = atomic_numbers.get(cell.capitalize()) if column.kind == "S" else None
        if known is None and not cell.isdigit():
            raise _LineFault(atom, f"{cell!r} is no element.")
        numbers.append(int(cell) if known is None else known)
    return np.array(numbers, dtype=np.int64)


def _refuse_text(atom: int, cell: str) -> None:
    try:
        float(cell)
    except ValueError:
        raise _LineFault(atom, f"{cell!r} is no number.") from None


def _shown(line: str) -> str:
    line = line.strip()
    return repr(line if len(line) <= _SHOWN else f"{line[:_SHOWN]}...")
