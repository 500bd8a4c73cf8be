"""Rates over windows of training, few enough to keep however long it lasts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Shorter windows than this tell of single batches.
LEAST_SECONDS = 1.0
MOST_WINDOWS = 1000


class Window(NamedTuple):
    """What was trained in so many seconds of training."""

    molecules: int = 0
    atoms: int = 0
    seconds: float = 0.0

    def plus(self, other: Window) -> Window:
        """Both as one."""
        return Window(
            self.molecules + other.molecules,
            self.atoms + other.atoms,
            self.seconds + other.seconds,
        )


class Windows:
    """Windows of at least ``least_seconds`` each.

    Above `MOST_WINDOWS` neighbours are joined two by two, and later windows last twice as long.
    """

    def __init__(self, least_seconds: float = LEAST_SECONDS, most: int = MOST_WINDOWS) -> None:
        self.least_seconds, self._most = least_seconds, most
        self._closed: list[Window] = []
        self._open = Window()

    def add(self, part: Window) -> None:
        """More of the open window, which ends behind it if it is long enough."""
        self._open = self._open.plus(part)
        if self._open.seconds < self.least_seconds:
            return
        self._closed.append(self._open)
        self._open = Window()
        if len(self._closed) >= self._most:
            pairs = zip(self._closed[::2], self._closed[1::2])
            # An odd one out is the last, and goes on.
            self._open = self._closed[-1] if len(self._closed) % 2 else Window()
            self._closed = [one.plus(other) for one, other in pairs]
            self.least_seconds *= 2

    @property
    def all(self) -> list[Window]:
        """The closed ones, and the open one where it is half as long or the only one there is."""
        counts = self._open.seconds >= self.least_seconds / 2 or not self._closed
        rest = [self._open] if counts and self._open.seconds > 0 else []
        return [*self._closed, *rest]

    @property
    def seconds(self) -> float:
        """Of all windows that count."""
        return sum(each.seconds for each in self.all)

    @property
    def latest_molecules_per_second(self) -> float | None:
        """Of the last window that closed; None before."""
        return self._closed[-1].molecules / self._closed[-1].seconds if self._closed else None

    def summary(self, ranks: int = 1) -> dict[str, float | None]:
        """Number and seconds of the windows, and the spread of their rates, of so many ranks."""
        windows = self.all
        rates = np.array([ranks * each.molecules / each.seconds for each in windows])
        atoms = np.array([ranks * each.atoms / each.seconds for each in windows])
        p10, median, p90 = percentiles(rates, (10, 50, 90))
        return {
            "molecules_per_second_median": median,
            "molecules_per_second_p10": p10,
            "molecules_per_second_p90": p90,
            "atoms_per_second_median": percentiles(atoms, (50,))[0] if atoms.any() else None,
            "num_windows": len(windows),
            "measured_seconds": self.seconds if windows else None,
        }

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {
            "least_seconds": self.least_seconds,
            "closed": [list(each) for each in self._closed],
            "open": list(self._open),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with them."""
        self.least_seconds = float(state_dict["least_seconds"])
        self._closed = [Window(*each) for each in state_dict["closed"]]
        self._open = Window(*state_dict["open"])


def percentiles(values: NDArray[np.float64], which: tuple[float, ...]) -> list[float | None]:
    """Interpolated linearly; None where there are no values."""
    if not values.size:
        return [None] * len(which)
    return [float(found) for found in np.percentile(values, which)]
