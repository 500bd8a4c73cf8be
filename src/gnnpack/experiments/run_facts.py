"""The numbers people ask of a run first, from whichever file has them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gnnpack.experiments.report_numbers import finite
from gnnpack.experiments.run_folder import RunFacts
from gnnpack.tracking import error_unit


def error(run: RunFacts, key: str) -> tuple[float, str] | None:
    """``test_mae`` or ``val_mae`` in the unit people read, and that unit.

    Of a run that goes on the last that it told, if it told its unit.
    """
    for told in (run.summary, run.live):
        value, unit = finite(told.get(key)), told.get("unit")
        if value is not None and unit is not None:
            factor, shown = error_unit(str(unit))
            return factor * value, shown
    return None


def molecules_per_second(run: RunFacts) -> float | None:
    """Of a finished run its training's, median where measured; of one that goes on the last."""
    for key in ("molecules_per_second_median", "train_molecules_per_second"):
        value = finite(run.summary.get(key))
        if value is not None:
            return value
    return finite(run.live.get("molecules_per_second"))


def filler_fraction(run: RunFacts) -> float | None:
    """Atom slots without an atom over all: of the training steps, else of the plan."""
    measured = finite(run.summary.get("filler_fraction"))
    planned = finite(run.summary.get("atom_efficiency"))
    return measured if measured is not None or planned is None else 1.0 - planned


def epochs(run: RunFacts) -> str:
    """Epochs done, ``5``, or the one that goes on of how many, ``3/5``; "" where unknown."""
    done = run.summary.get("num_epochs")
    if done is not None:
        return str(done)
    epoch, last = run.live.get("epoch"), run.live.get("max_epochs")
    return "" if epoch is None else f"{epoch}/{last}" if last is not None else str(epoch)


def started(run: RunFacts) -> datetime | None:
    """When it began; a job's last attempt counts."""
    return _time(run.status.get("started")) or _time(run.record.get("started"))


def ended(run: RunFacts) -> datetime | None:
    """When a job's last attempt ended."""
    return _time(run.status.get("ended"))


def seconds(run: RunFacts, now: float | None = None) -> float | None:
    """How long the run took, or (at unix time ``now``) has taken so far.

    A job counts from its process's start to its end, of the last attempt; a single run as it told
    itself.
    """
    begun, end = _time(run.status.get("started")), ended(run)
    if begun is not None and run.state == "running" and now is not None:
        return max(0.0, now - begun.timestamp())
    if begun is not None and run.state != "running" and end is not None:
        return max(0.0, (end - begun).total_seconds())
    wall = finite(run.summary.get("wall_seconds"))
    return finite(run.live.get("seconds")) if wall is None else wall


def _time(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    # Times with and without a zone cannot be compared; ours have one.
    return found.astimezone()
