"""Names of groups of runs, short enough to stand beside an axis."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Iterator, Mapping, Sequence

from gnnpack.experiments.report_config import ABSENT, short_names
from gnnpack.experiments.report_label_keys import BARE, FOLDER, Named, label_keys, named, rivals
from gnnpack.experiments.told_apart import alike, choices

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts

# Longer names do not fit beside an axis.
LONGEST_LABEL = 44


def group_labels(runs: Sequence[RunFacts], configs: Sequence[Mapping[str, str]]) -> list[str]:
    """A name for each run, no two alike, of what sets it apart: ``packer=lpfhp, lr=0.001``.

    Args:
        runs: one of each group.
        configs: their flat configs without the seed; empty where a run left none.
    """
    if len(runs) == 1 and configs[0] and not (runs[0].variant or runs[0].swept):
        whole = [configs[0][name] for name in ("dataset", "packer", "model") if name in configs[0]]
        return [shortened(", ".join(whole) or runs[0].name)]
    groups = [named(run, config) for run, config in zip(runs, configs)]
    return unique(_Labels(groups).all())


class _Labels:
    """Names of groups from their keys; those of one sweep and the same keys are named alike."""

    def __init__(self, groups: Sequence[Named]) -> None:
        self._groups, self._keys = groups, label_keys(groups)
        self._short = short_names(list(dict.fromkeys(key for mine in self._keys for key in mine)))

    def all(self) -> list[str]:
        """In the order of the groups."""
        families: dict[object, list[int]] = {}
        for number, (group, keys) in enumerate(zip(self._groups, self._keys)):
            families.setdefault((group.sweep, *keys), []).append(number)
        found: dict[int, str] = {}
        for members in families.values():
            found.update(zip(members, self._fitting(members)))
        return [found[number] for number in range(len(self._groups))]

    def _fitting(self, members: Sequence[int]) -> list[str]:
        """Their names whole, or of those keys that tell them apart and fit, or without keys."""
        keys = self._keys[members[0]]
        if self._fit(members, keys):
            return self._texts(members, keys)
        for chosen in self._telling(members):
            if self._fit(members, chosen):
                return self._texts(members, self._filled(members, chosen))
        values = [self._values(number) for number in members]
        if self._groups[members[0]].swept and max(map(len, values)) <= LONGEST_LABEL:
            return values
        if len(members) > 1:
            return [label for number in members for label in self._fitting([number])]
        folder = self._groups[members[0]].shown[FOLDER]
        return [shortened(values[0] if self._groups[members[0]].swept else folder)]

    def _telling(self, members: Sequence[int]) -> Iterator[tuple[str, ...]]:
        """Choices of their keys by which each of them is unlike all its rivals."""
        others = {n: [o.known for o in rivals(self._groups[n], self._groups)] for n in members}
        first, *rest = members
        for chosen in choices(self._groups[first].known, others[first], self._keys[first]):
            if not any(alike(self._groups[n].known, o, chosen) for n in rest for o in others[n]):
                yield chosen

    def _filled(self, members: Sequence[int], chosen: Sequence[str]) -> list[str]:
        """The choice, and as many of the other keys as fit."""
        kept, keys = set(chosen), self._keys[members[0]]
        for key in keys:
            if self._fit(members, [k for k in keys if k in {*kept, key}]):
                kept.add(key)
        return [key for key in keys if key in kept]

    def _values(self, number: int) -> str:
        shown = self._groups[number].shown
        return ", ".join(shown.get(key, ABSENT) for key in self._keys[number])

    def _fit(self, members: Sequence[int], keys: Sequence[str]) -> bool:
        return all(len(text) <= LONGEST_LABEL for text in self._texts(members, keys))

    def _texts(self, members: Sequence[int], keys: Sequence[str]) -> list[str]:
        return [", ".join(self._part(self._groups[n], key) for key in keys) for n in members]

    def _part(self, group: Named, key: str) -> str:
        value = group.shown.get(key, ABSENT)
        return value if key in BARE else f"{self._short[key]}={value}"


def shortened(label: str, longest: int = LONGEST_LABEL) -> str:
    """The label, its middle cut out where it is too long."""
    if len(label) <= longest:
        return label
    half = (longest - 3) // 2
    return f"{label[:half]} … {label[-half:]}"


def unique(labels: Sequence[str]) -> list[str]:
    """The labels, those that came before with a number behind.

    >>> unique(["a", "b", "a"])
    ['a', 'b', 'a (2)']
    """
    told: dict[str, None] = {}
    for label in labels:
        number, name = 1, label
        while name in told:
            number += 1
            name = f"{label} ({number})"
        told[name] = None
    return list(told)


def natural(label: str) -> list[tuple[int, float, str]]:
    """Order of names with numbers in them.

    >>> sorted(["a=128", "a=64"], key=natural)
    ['a=64', 'a=128']
    """
    parts = re.split(r"(\d+(?:\.\d+)?)", label)
    return [(0, float(p), "") if p[:1].isdigit() else (1, 0.0, p) for p in parts if p]
