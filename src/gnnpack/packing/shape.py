"""The capacity of one pack."""

from __future__ import annotations

import operator
from dataclasses import dataclass, fields
from typing import SupportsIndex

# A pack filled at least half still has its sum in int64.
_LARGEST = 2**62


@dataclass(frozen=True)
class PackShape:
    """The most real atoms, real pairs and real molecules one pack may hold.

    num_atoms: atoms; None means "this packer's best fill", see `resolve_num_atoms`.
    num_pairs: undirected pairs within the cutoff; None means no limit.
    num_molecules: molecules; None means as many as fit, and the plan says how many that was.
    ValueError: a limit that is not a positive integer.

    >>> PackShape(36)
    PackShape(num_atoms=36, num_pairs=None, num_molecules=None)
    >>> PackShape(36.0)
    Traceback (most recent call last):
    ValueError: shape.num_atoms=36.0 is not a positive integer; give a whole number or null
    """

    num_atoms: int | None
    num_pairs: int | None = None
    num_molecules: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            limit = _positive_integer(f"shape.{field.name}", getattr(self, field.name))
            object.__setattr__(self, field.name, limit)


def _positive_integer(name: str, limit: SupportsIndex | None) -> int | None:
    if limit is None:
        return None
    message = f"{name}={limit!r} is not a positive integer; give a whole number or null"
    if isinstance(limit, bool):
        raise ValueError(message)
    try:
        number = operator.index(limit)
    except TypeError:
        raise ValueError(message) from None
    if number < 1:
        raise ValueError(message)
    if number > _LARGEST:
        raise ValueError(f"{name}={number} is more than 2**62 and would overflow; null = no limit")
    return number
