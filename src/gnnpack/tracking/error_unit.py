"""The unit people read errors in: energies are eV inside, and their errors are told in meV."""

from __future__ import annotations

MEV_PER_EV = 1000.0


def error_unit(unit: str) -> tuple[float, str]:
    """Factor and unit that errors in ``unit`` are shown with; only eV is shown as another one.

    >>> error_unit("eV"), error_unit("D")
    ((1000.0, 'meV'), (1.0, 'D'))
    """
    return (MEV_PER_EV, "meV") if unit == "eV" else (1.0, unit)
