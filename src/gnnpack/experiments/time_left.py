"""How long the running jobs of a sweep, and the sweep, still take."""

from __future__ import annotations

from typing import Sequence

from gnnpack.experiments.report_numbers import finite
from gnnpack.experiments.run_facts import seconds
from gnnpack.experiments.run_folder import RunFacts


def run_seconds_left(run: RunFacts, now: float) -> float | None:
    """Of a run that goes on, at unix time ``now``: as it tells, else by its updates, else None."""
    if run.state != "running":
        return None
    told, written = finite(run.live.get("seconds_left")), finite(run.live.get("time"))
    if told is None:
        passed, total = finite(run.live.get("updates")), finite(run.live.get("total_updates"))
        so_far = finite(run.live.get("seconds"))
        if not passed or total is None or so_far is None:
            return None
        told = so_far * max(0.0, total - passed) / passed
    return max(0.0, told - max(0.0, now - (now if written is None else written)))


def sweep_seconds_left(runs: Sequence[RunFacts], now: float) -> float | None:
    """Of all runs that go on or have not begun; 0 if there are none, None while nothing tells.

    A job yet to come is taken to need the mean time of those done, before the first is done that of
    those that go on; and as many to run side by side as do now.
    """
    running = [run for run in runs if run.state == "running"]
    waiting = sum(run.state in ("missing", "unfinished") for run in runs)
    if not running and not waiting:
        return 0.0
    expected = _expected_seconds(runs, now)
    left = [_left(run, expected, now) for run in running]
    known = [one for one in left if one is not None]
    if len(known) < len(left) or (waiting and expected is None):
        return None
    work = sum(known) + waiting * (expected or 0.0)
    return max([work / max(1, len(running)), *known])


def _expected_seconds(runs: Sequence[RunFacts], now: float) -> float | None:
    done = [seconds(run) for run in runs if run.state == "done"]
    whole = [one for one in done if one is not None] or _foreseen(runs, now)
    return sum(whole) / len(whole) if whole else None


def _foreseen(runs: Sequence[RunFacts], now: float) -> list[float]:
    """Whole times of the runs that go on, as far as they tell."""
    told = [(seconds(run, now), run_seconds_left(run, now)) for run in runs]
    return [so_far + left for so_far, left in told if so_far is not None and left is not None]


def _left(run: RunFacts, expected: float | None, now: float) -> float | None:
    left, so_far = run_seconds_left(run, now), seconds(run, now)
    if left is not None or expected is None:
        return left
    return max(0.0, expected - (so_far or 0.0))
