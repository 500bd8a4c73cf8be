"""What few seeds can tell: Student's t (Gosset 1908, Biometrika 6, 1-25)."""

from __future__ import annotations

import math

from gnnpack.experiments.report_numbers import Spread

# That 95 % lie within, for 1, 2, 3 ... degrees of freedom.
T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def student_t(degrees: int) -> float:
    """How many standard errors 95 % lie within; above 10 degrees of freedom that of 10, not less.

    >>> student_t(2), student_t(100)
    (4.303, 2.228)
    """
    return T_95[min(degrees, len(T_95)) - 1]


def half_width(found: Spread | None) -> float | None:
    """Of the 95 % interval of a mean (Student's t); None for fewer than two values.

    >>> f"{half_width(Spread(3, 2.0, 1.0, 3.0, 1.0)):.4f}"
    '2.4843'
    """
    if found is None or found.deviation is None:
        return None
    return student_t(found.n - 1) * found.deviation / math.sqrt(found.n)


def stands_out(found: Spread | None) -> bool | None:
    """Whether the 95 % interval of a mean difference leaves 0 out; None for fewer than two."""
    width = half_width(found)
    return None if found is None or width is None else abs(found.mean) > width
