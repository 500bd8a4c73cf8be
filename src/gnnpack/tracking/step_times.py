"""How long host steps take: a histogram that is as small for a million of them as for ten."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

# A bin is so much wider than the one before; a percentile is exact to half of it.
WIDTH = 0.02
_STEP = math.log1p(WIDTH)
# Below it a clock's own noise.
LEAST_SECONDS = 1e-6


class StepTimes:
    """Seconds of host steps, in bins of equal width of their logarithm."""

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """One step."""
        self._bins[int(math.log(max(seconds, LEAST_SECONDS)) // _STEP)] += 1

    @property
    def count(self) -> int:
        """Steps added."""
        return sum(self._bins.values())

    def percentile(self, percent: float) -> float | None:
        """Seconds that so many percent of the steps took at most; None without steps."""
        wanted, seen = math.ceil(percent / 100 * self.count), 0
        for place in sorted(self._bins):
            seen += self._bins[place]
            if seen >= max(1, wanted):
                return math.exp((place + 0.5) * _STEP)
        return None

    def summary(self) -> dict[str, float | None]:
        """Percentiles under the names of summary.json."""
        return {f"step_seconds_p{p}": self.percentile(p) for p in (10, 50, 90, 99)}

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {"bins": sorted(self._bins.items())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with them."""
        self._bins = Counter(dict(state_dict["bins"]))
