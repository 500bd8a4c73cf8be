"""Numbers as a report shows them, and the spread of several runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Iterable

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Spread:
    """Mean and spread of the ``n`` values there are, ``n`` at least 1."""

    n: int
    mean: float
    least: float
    most: float
    deviation: float | None
    """Standard deviation of a sample (n - 1); None for one value."""


def finite(value: Any) -> float | None:
    """The number, or None for what is none: missing, text, NaN, infinity.

    >>> finite(2), finite(None), finite(float("nan")), finite("fast"), finite(True)
    (2.0, None, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def spread(values: Iterable[float | None]) -> Spread | None:
    """Of those that are numbers; None without any.

    >>> spread([1.0, None, 3.0])
    Spread(n=2, mean=2.0, least=1.0, most=3.0, deviation=1.4142135623730951)
    """
    numbers = [value for value in values if value is not None]
    if not numbers:
        return None
    mean = math.fsum(numbers) / len(numbers)
    deviation = None
    if len(numbers) > 1:
        squares = math.fsum((value - mean) ** 2 for value in numbers)
        deviation = math.sqrt(squares / (len(numbers) - 1))
    return Spread(len(numbers), mean, min(numbers), max(numbers), deviation)


def shown(value: float | None, digits: int = 4) -> str:
    """``digits`` significant ones, thousands apart; whole numbers from 1,000 on are not cut.

    >>> shown(1139.357), shown(12.3456), shown(0.0123456), shown(0.0), shown(None)
    ('1,139', '12.35', '0.01235', '0', 'not measured')
    >>> shown(4_512_345.0), shown(9.9999), shown(3.2e-7), shown(-2.5, 2)
    ('4,512,345', '10.00', '3.200e-07', '-2.5')
    """
    if value is None:
        return NOT_MEASURED
    if value == 0:
        return "0"
    if abs(value) < 1e-4:
        return f"{value:.{digits - 1}e}"
    # Through the rounded value: 9.9999 has one digit more before its point than it seems.
    before = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}")))) + 1
    return f"{value:,.{max(0, digits - before)}f}"


def count(value: float | None) -> str:
    """A whole number, thousands apart.

    >>> count(2817.83), count(None)
    ('2,818', 'not measured')
    """
    return NOT_MEASURED if value is None else f"{value:,.0f}"


def percent(fraction: float | None) -> str:
    """A share as percent.

    >>> percent(0.0637), percent(None)
    ('6.37', 'not measured')
    """
    return NOT_MEASURED if fraction is None else f"{100 * fraction:.2f}"


def bytes_shown(value: float | None) -> str:
    """Memory in MiB below one GiB, else in GiB; the unit stands behind it.

    >>> bytes_shown(3 * 2**30), bytes_shown(2**20 * 12.5), bytes_shown(None)
    ('3.00 GiB', '12.5 MiB', 'not measured')
    """
    if value is None:
        return NOT_MEASURED
    return f"{value / 2**30:,.2f} GiB" if value >= 2**30 else f"{value / 2**20:,.1f} MiB"


def several(number: int, one: str, many: str = "") -> str:
    """A number and its noun.

    >>> several(1, "run"), several(3000, "run"), several(2, "study", "studies")
    ('1 run', '3,000 runs', '2 studies')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
