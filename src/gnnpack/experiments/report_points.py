"""Points of a run's curves, from its metrics.csv."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Sequence

import numpy as np

from gnnpack.experiments.report_numbers import finite

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts

# A screen shows no more.
MOST_POINTS = 250
# Names under which a metrics.csv may hold the seconds of training.
SECONDS = ("train/seconds", "seconds")

Array = Any


def points(run: RunFacts, against: str, column: str = "val/mae") -> tuple[Array, Array]:
    """(x, y) of a column of the run's metrics, both (n,), in the order of x."""
    metrics: Mapping[str, Array] = run.metrics
    if column not in metrics:
        return np.empty(0), np.empty(0)
    y = metrics[column]
    x = metrics["updates"] if "updates" in metrics else metrics.get("step", y * np.nan) + 1.0
    if against == "seconds":
        x = _seconds(run, metrics, x)
    there = np.isfinite(x) & np.isfinite(y)
    order = np.argsort(x[there], kind="stable")
    return x[there][order], y[there][order]


def thinned(x: Array, y: Array) -> tuple[Array, Array]:
    """At most ``MOST_POINTS`` of the points, the first and the last among them."""
    if len(x) <= MOST_POINTS:
        return x, y
    kept = np.unique(np.linspace(0, len(x) - 1, MOST_POINTS).round().astype(np.int64))
    return x[kept], y[kept]


def mean_curve(curves: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Mean of several curves over the stretch of x that all have."""
    start = max(x[0] for x, _ in curves)
    end = min(x[-1] for x, _ in curves)
    x = curves[0][0]
    x = x[(x >= start) & (x <= end)]
    return x, np.mean([np.interp(x, *curve) for curve in curves], axis=0)


def _seconds(run: RunFacts, metrics: Mapping[str, Array], updates: Array) -> Array:
    for name in SECONDS:
        if name in metrics and np.isfinite(metrics[name]).any():
            clock = metrics[name]
            told = np.isfinite(clock) & np.isfinite(updates)
            order = np.argsort(updates[told], kind="stable")
            if told.any():
                return np.interp(updates, updates[told][order], clock[told][order])
    facts = run.summary or run.live
    total = finite(facts.get("updates"))
    seconds = next(
        (s for s in map(finite, map(facts.get, ("train_seconds", "wall_seconds", "seconds"))) if s),
        None,
    )
    if not total or not seconds:
        return updates * np.nan
    return updates * (seconds / total)


def has_clock(run: RunFacts) -> bool:
    """Whether its metrics.csv holds seconds of training."""
    return any(name in run.metrics for name in SECONDS)
