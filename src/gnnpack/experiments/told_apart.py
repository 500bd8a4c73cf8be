"""The fewest settings by which one of several is known."""

from __future__ import annotations

from itertools import combinations
from typing import Iterator, Mapping, Sequence

Known = Mapping[str, str]
# A name of more does not fit anywhere.
MOST_KEYS = 4


def alike(one: Known, other: Known, keys: Sequence[str]) -> bool:
    """Whether both have the same values of all these keys."""
    return all(one.get(key) == other.get(key) for key in keys)


def choices(one: Known, others: Sequence[Known], keys: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Each choice of the keys by which ``one`` is unlike all others; the smallest come first.

    >>> me, them = {"a": "1", "b": "2"}, [{"a": "1", "b": "1"}, {"a": "2", "b": "2"}]
    >>> list(choices(me, them, ["a", "b"])), list(choices(me, [], ["a"]))
    ([('a', 'b')], [(), ('a',)])
    """
    for number in range(min(MOST_KEYS, len(keys)) + 1):
        for chosen in combinations(keys, number):
            if not any(alike(one, other, chosen) for other in others):
                yield chosen


def fewest(one: Known, others: Sequence[Known], keys: Sequence[str]) -> tuple[str, ...]:
    """The first of `choices`; () where there is none."""
    return next(choices(one, others, keys), ())
