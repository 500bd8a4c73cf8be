"""The second line of an .xyz frame: what it says of the molecule, and of the atoms' columns."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Mapping, NamedTuple

from gnnpack.datasets.structure_frames import FrameFault

PLAIN = "species:S:1:pos:R:3"
# What ASE calls these, and some programs write.
SYNONYMS = {"Z": "species", "symbols": "species", "numbers": "species", "positions": "pos"}
WHOLE_COMMENT = "comment"
"""The key of a comment that is nothing but a number, as in HydroNet's own files."""

_PAIR = re.compile(
    r"""(?P<key>[^\s=]+)\s*=\s*
    (?: "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>(?:[^'\\]|\\.)*)'
      | \{(?P<curly>[^}]*)\} | \[(?P<square>[^\]]*)\] | (?P<bare>[^\s"'{\[]\S*) )""",
    re.VERBOSE,
)
_TRUE = ("T", "True", "true", "TRUE", "1")


class Column(NamedTuple):
    """Fields ``start`` to ``stop`` - 1 of an atom's line; kind: R, I, S or L."""

    name: str
    kind: str
    start: int
    stop: int


class Comment(NamedTuple):
    """``values``: text by key. ``names_columns``: whether it says what the columns are."""

    values: Mapping[str, str]
    columns: tuple[Column, ...]
    names_columns: bool
    periodic: bool


def parse_comment(line: str) -> Comment:
    """Read a comment line; FrameFault when it describes columns that cannot be.

    >>> parse_comment('energy=-1.5 name="a b" pbc="F F F"').values["name"]
    'a b'
    """
    values = pairs(line)
    periodic = _periodic(values)
    described = values.pop("Properties", None)
    if not values and described is None and line.strip():
        values[WHOLE_COMMENT] = line.strip()
    return Comment(values, _columns(described or PLAIN), described is not None, periodic)


def pairs(line: str) -> dict[str, str]:
    """``key=value`` pairs, values in any of the quotes and brackets that ASE takes."""
    found = {}
    for match in _PAIR.finditer(line):
        kind = match.lastgroup
        assert kind is not None, "one of the five ways to write a value has matched"
        value = match.group(kind)
        if kind in ("double", "single"):
            value = re.sub(r"\\(.)", r"\1", value)
        found[match.group("key").strip("\"'")] = value
    return found


def _periodic(values: dict[str, str]) -> bool:
    """As in ASE: a file with a cell is periodic unless it says otherwise."""
    lattice, said = values.pop("Lattice", None), values.pop("pbc", None)
    if said is None:
        return lattice is not None
    return any(word in _TRUE for word in re.findall(r"[^\s,]+", said))


@lru_cache(maxsize=64)
def _columns(described: str) -> tuple[Column, ...]:
    fields = described.split(":")
    columns, start = [], 0
    for name, kind, width in zip(fields[::3], fields[1::3], fields[2::3]):
        if kind not in ("R", "I", "S", "L") or not width.isdigit() or int(width) < 1:
            raise FrameFault(f"Properties={described} says nothing of {name} that could be read.")
        stop = start + int(width)
        columns.append(Column(SYNONYMS.get(name, name), kind, start, stop))
        start = stop
    widths = {column.name: column.stop - column.start for column in columns}
    if len(fields) % 3 or widths.get("species") != 1 or widths.get("pos") != 3:
        raise FrameFault(f"Properties={described} lacks species:S:1 or pos:R:3.")
    return tuple(columns)
