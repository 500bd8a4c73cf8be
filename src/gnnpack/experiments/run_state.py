"""Whether a run is done, goes on, or was left, from what its folder holds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Mapping

# As people read them, the best end first.
STATES = ("done", "running", "pruned", "failed", "unfinished", "missing")
ENDS = ("done", "failed", "pruned")
# A run without a lock that wrote live.json this many seconds ago or less is taken to go on.
ALIVE_SECONDS = 60.0


def state_of(
    *,
    job: Mapping[str, Any],
    status: Mapping[str, Any],
    summary: Mapping[str, Any],
    live: Mapping[str, Any],
    locked: Callable[[], bool],
    started: Callable[[], bool],
    now: float,
) -> tuple[str, str | None]:
    """State and reason of a run, from job.json, state.json, summary.json and live.json ({} = none).

    ``locked``: whether somebody holds its lock; ``started``: whether it has written anything else.
    ``now`` is a unix time in seconds.
    """
    state, reason = _state(job, status, summary, live, locked, started, now)
    if state == "done" and job.get("must_learn") and not learned(summary):
        return "failed", (
            f"did not learn: test MAE {summary['test_mae']:.4g} is not below "
            f"{summary['baseline_mae']:.4g} of the training mean"
        )
    return state, reason


def learned(summary: Mapping[str, Any]) -> bool:
    """Whether the test error is below that of predicting the training mean; true if unknown."""
    error, baseline = summary.get("test_mae"), summary.get("baseline_mae")
    if not isinstance(error, (int, float)) or not isinstance(baseline, (int, float)):
        return True
    return error < baseline


def lock_is_held(path: Path) -> bool:
    """Whether another process holds the flock of ``path``; the file is not made."""
    try:
        # Systems without it have no locks of ours either.
        import fcntl

        descriptor = os.open(path, os.O_RDONLY)
    except (ImportError, OSError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _state(
    job: Mapping[str, Any],
    status: Mapping[str, Any],
    summary: Mapping[str, Any],
    live: Mapping[str, Any],
    locked: Callable[[], bool],
    started: Callable[[], bool],
    now: float,
) -> tuple[str, str | None]:
    if job or status:
        # An end stands, even if a process the job left behind still holds the lock. Only jobs
        # without one are tried, since trying a lock keeps a sweep from taking it meanwhile.
        if status.get("state") in ENDS:
            if status["state"] == "failed" and status.get("exit_status") == 0 and summary:
                # It did not learn; whether it must, the sweep's last start says.
                return "done", None
            return str(status["state"]), _reason(status)
        if locked():
            return "running", None
        # The sweep was killed and the job came to its end without it.
        if summary:
            return "done", None
        if not (status or live or started()):
            return "missing", None
        return "unfinished", _reason(status)
    if summary:
        return "done", None
    # A job's sweep tells its end itself.
    if live.get("phase") == "failed":
        return "failed", _reason(live)
    if live.get("phase") == "stopped":
        return "unfinished", None
    written = live.get("time")
    if isinstance(written, (int, float)) and now - written < ALIVE_SECONDS:
        return "running", None
    return ("unfinished" if live or started() else "missing"), None


def _reason(told: Mapping[str, Any]) -> str | None:
    reason = told.get("reason")
    return None if reason is None else str(reason)
