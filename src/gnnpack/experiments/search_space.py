"""What a search may vary: ranges and choices, read from a config, and their words on a command."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Mapping, Union

RANGE_KEYS = {"low", "high", "log", "step"}


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; whole ones when both ends are whole."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)


@dataclass(frozen=True)
class Choices:
    """One of these, each as it is typed on a command line."""

    values: tuple[str, ...]


Space = Mapping[str, Union[Range, Choices]]


def read_space(config: Mapping[str, Any]) -> dict[str, Range | Choices]:
    """The search space of a config: key -> {low, high, log, step} or {choices: [...]}.

    Raises:
        ValueError: an entry is neither, or its numbers cannot be.
    """
    return {str(key): _read(str(key), entry) for key, entry in config.items()}


def typed(value: Any) -> str:
    """A value as the command line takes it; fractions to six digits, and never as whole numbers.

    >>> [typed(value) for value in (0.00123456789, 1.0, 3, None, True, [0.9, "a"])]
    ['0.00123457', '1.0', '3', 'null', 'true', '[0.9,a]']
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        text = f"{value:.6g}"
        # limit_train_batches=1 is one batch, and 1.0 all of them.
        return f"{text}.0" if text.lstrip("-").isdigit() else text
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(typed(part) for part in value) + "]"
    return str(value)


def distributions(space: Space) -> dict[str, Any]:
    """Optuna's own words for the space."""
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    found: dict[str, BaseDistribution] = {}
    for key, entry in space.items():
        if isinstance(entry, Choices):
            found[key] = CategoricalDistribution(entry.values)
        elif entry.whole:
            low, high, step = int(entry.low), int(entry.high), int(entry.step or 1)
            # The last step that fits: Optuna would shorten the range itself, with a warning.
            high -= (high - low) % step
            found[key] = IntDistribution(low, high, log=entry.log, step=step)
        else:
            found[key] = FloatDistribution(
                float(entry.low), _last(entry), log=entry.log, step=entry.step
            )
    return found


def _last(entry: Range) -> float:
    if entry.step is None:
        return float(entry.high)
    steps = math.floor((entry.high - entry.low) / entry.step + 1e-9)
    return float(entry.low + steps * entry.step)


def _read(key: str, entry: Any) -> Range | Choices:
    where = f"hydra.sweeper.space.{key}"
    if isinstance(entry, Mapping) and set(entry) == {"choices"}:
        values = entry["choices"]
        if not isinstance(values, (list, tuple)) or not values:
            raise ValueError(f"{where}.choices is {values!r}; give a list, such as [64, 128].")
        words = tuple(typed(value) for value in values)
        if len(set(words)) < len(words):
            raise ValueError(f"{where}.choices is {list(words)}; each may stand there once.")
        return Choices(words)
    if not isinstance(entry, Mapping) or not {"low", "high"} <= set(entry) <= RANGE_KEYS:
        raise ValueError(
            f"{where} is {entry!r}; give {{low: ..., high: ..., log: true, step: ...}} (the last "
            "two may be left out) or {choices: [...]}."
        )
    low, high, step = entry["low"], entry["high"], entry.get("step")
    log = bool(entry.get("log", False))
    for name, number in (("low", low), ("high", high), ("step", 1 if step is None else step)):
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise ValueError(f"{where}.{name} is {number!r}; give a number (1.0e-3, with a point).")
    if not low < high:
        raise ValueError(f"{where} goes from {low} to {high}; low must be below high.")
    if log and not low > 0:
        raise ValueError(f"{where}.low is {low}; on a log scale it must be above 0.")
    if step is not None and (log or not 0 < step <= high - low):
        raise ValueError(
            f"{where}.step is {step}; it goes from {low} to {high} without log, in steps above 0."
        )
    found = Range(low, high, log, step)
    if found.whole and step is not None and not isinstance(step, int):
        raise ValueError(f"{where}.step is {step}; low and high are whole, so it must be too.")
    return found
