"""Ranges of a search on the command line, in Hydra's own words for them."""

from __future__ import annotations

from typing import NamedTuple, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from gnnpack.commands.sweep_jobs import as_override
from gnnpack.experiments.search_space import Choices, Range, Space


class Arguments(NamedTuple):
    """A command line, taken apart.

    Attributes:
        base: overrides of every trial.
        space: what is searched.
    """

    base: list[str]
    space: dict[str, Range | Choices]


def read_arguments(
    space: Space, command_line: Sequence[str], *, parser: OverridesParser
) -> Arguments:
    """The file's space with what the command line says of it.

    ``lr=interval(a,b)``, ``range(a,b,step)``, ``tag(log,...)``, ``choice(a,b)`` and ``a,b`` replace
    or add an entry; a plain value fixes the key, which is then no longer searched.
    """
    base: dict[str, str] = {}
    found = dict(space)
    for override in parser.parse_overrides(list(command_line)):
        key = override.get_key_element()
        name = key.lstrip("+~")
        for known in (key, name):
            found.pop(known, None)
        base.pop(name, None)
        if override.is_sweep_override():
            # With its +: a trial adds the key too.
            found[key] = _entry(override)
        else:
            base[name] = as_override(key, override.get_value_element_as_str())
    return Arguments(list(base.values()), found)


def _entry(override: Override) -> Range | Choices:
    value = override.value()
    if isinstance(value, IntervalSweep):
        # Whole numbers where it is typed int(interval(...)), else fractions.
        low, high = value.start, value.end
        assert low is not None, "Hydra's grammar asks for it"
        assert high is not None, "Hydra's grammar asks for it"
        return Range(low, high, "log" in value.tags)
    if isinstance(value, RangeSweep) and value.start is not None and value.stop is not None:
        # As in Hydra's own sweeps the end is no part of it.
        last = value.start + value.step * _steps(value.start, value.stop, value.step)
        if not last > value.start:
            raise ValueError(f"{override.input_line} is a range of one number; nothing to search.")
        log = "log" in value.tags
        return Range(value.start, last, log, None if log else value.step)
    return Choices(tuple(override.sweep_string_iterator()))


def _steps(start: float, stop: float, step: float) -> int:
    number = 0
    while start + step * (number + 1) < stop:
        number += 1
    return number
