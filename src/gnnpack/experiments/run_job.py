"""One job of a sweep: its lock, its attempt, its device, its process, and what came of it."""

from __future__ import annotations

import contextlib
import os
from datetime import datetime
from pathlib import Path
from typing import Any, Callable, Sequence

from gnnpack.experiments.attempts import (
    checkpoint_stamp,
    may_go_on,
    next_attempt,
    set_aside,
)
from gnnpack.experiments.devices import Request, Share, device_share, too_many
from gnnpack.experiments.go_ahead import under
from gnnpack.experiments.job import (
    FROM,
    LOCK,
    OUTPUT,
    PRUNED,
    Job,
    now,
    read_job,
    write_state,
)
from gnnpack.experiments.job_words import outcome
from gnnpack.experiments.locks import take_lock
from gnnpack.experiments.process import (
    KEY_VARIABLE,
    Interrupted,
    reason_of,
    run_process,
)
from gnnpack.experiments.run_folder import RunFacts, read_json, read_run
from gnnpack.experiments.run_state import ENDS
from gnnpack.experiments.start import Start
from gnnpack.experiments.told import heard_or_not

# The job and its folder, and whether it goes on from a checkpoint -> the program's command line.
Command = Callable[[Job, Path, bool], Sequence[str]]
SETTLED = ("done", "pruned")
NOTHING = Request()


def run_job(
    folder: Path,
    start: Start,
    command: Command,
    *,
    device: Request = NOTHING,
    writes_summary: bool = True,
) -> None:
    """Bring a job to its end, unless it is there already or another process is at it.

    What comes of it is written to state.json and told in a line; it is no exception.

    Args:
        command: gives the command line of its process.
        device: what it wants to itself.
        writes_summary: if it ends well it leaves a summary.json.

    Raises:
        KeyboardInterrupt: the user wants the sweep to end.
        OSError, ValueError: the job's own files cannot be read or written.
    """
    with under(start.go_ahead, start.started_by):
        _run_job(folder, start, command, device, writes_summary)


def _run_job(
    folder: Path, start: Start, command: Command, device: Request, writes_summary: bool
) -> None:
    if start.is_over():
        # It was waiting for a worker.
        raise KeyboardInterrupt
    job = read_job(folder)
    lock = take_lock(folder / LOCK)
    if lock is None:
        say(job, start, "is run by another process")
        return
    try:
        facts = read_run(folder, mine=True)
        if is_settled(facts, start):
            say(job, start, f"{facts.state} already")
        elif start.max_failures is not None and failures(folder, start) >= start.max_failures:
            say(job, start, f"not begun: {start.max_failures} failed, which is max_failures")
        elif too_many(device) is not None:
            refusal = too_many(device)
            say(job, start, f"failed: {refusal}")
            told = {"started": now(), "ended": now(), "reason": refusal}
            write_state(folder, "failed", attempt=next_attempt(facts), **told)
        else:
            with device_share(device, start.is_over) as share:
                attempt(job, facts, start, command, lock, share, writes_summary)
    except Exception as error:
        # Here, while the lock is held: whoever takes it next writes of another attempt.
        with contextlib.suppress(OSError):
            _write_failure(folder, start, error)
        raise
    finally:
        os.close(lock)


def _write_failure(folder: Path, start: Start, error: Exception) -> None:
    facts = read_run(folder, mine=True)
    if facts.status.get("state") in ENDS and not is_before(facts, start.started):
        # What went wrong came after the job's end, which is written.
        return
    before = facts.status
    begun = {name: before.get(name) for name in ("attempt", "started", "device", FROM)}
    reason = str(error) or type(error).__name__
    write_state(folder, "failed", **begun, ended=now(), reason=reason)


def attempt(
    job: Job,
    facts: RunFacts,
    start: Start,
    command: Command,
    lock: int,
    share: Share,
    writes_summary: bool,
) -> None:
    """Run the job's process once, whose lock and share this process holds."""
    folder, number = facts.folder, next_attempt(facts)
    goes_on = may_go_on(facts)
    if not goes_on:
        set_aside(folder, max(1, number - 1))
    elif (folder / PRUNED).exists():
        # Its end will be another.
        (folder / PRUNED).unlink()
    begun: dict[str, Any] = {
        "attempt": number,
        "started": now(),
        "device": share.label,
        FROM: checkpoint_stamp(folder) if goes_on else None,
    }
    # Before anything is written: whatever happens from here on, the job was started.
    write_state(folder, "running", **begun)
    log = folder / OUTPUT
    before = log.stat().st_size if log.exists() else 0

    def began(pid: int) -> None:
        begun["pid"] = pid
        write_state(folder, "running", **begun)

    where = f" on {share.label}" if share.label else ""
    say(job, start, f"{'goes on' if goes_on else 'begins'}{where}")
    try:
        status = run_process(
            [*command(job, folder, goes_on), *start.flags],
            log,
            cwd=start.cwd,
            environment={**share.environment, **dict(start.environment), KEY_VARIABLE: job.key},
            keep_open=[lock, *share.locks],
            cores=share.cores,
            told_to_end=start.told_to_end,
            began=began,
        )
    except Interrupted:
        write_state(folder, "running", **begun, ended=now(), reason="interrupted")
        say(job, start, "interrupted; the next start goes on with it")
        raise KeyboardInterrupt from None
    state, reason = end_of(folder, status, log, before, writes_summary)
    ended = {**begun, "ended": now(), "exit_status": status}
    write_state(folder, state, **ended, reason=reason)
    facts = read_run(folder, mine=True)
    if (state, facts.state) == ("done", "failed"):
        # It did not learn, and must.
        write_state(folder, facts.state, **ended, reason=facts.reason)
    say(job, start, outcome(facts))


def end_of(
    folder: Path, status: int, log: Path, before: int, writes_summary: bool
) -> tuple[str, str | None]:
    """State and reason for a process that ended with ``status``."""
    if status != 0:
        return "failed", reason_of(status, log, before)
    has_summary = (folder / "summary.json").is_file()
    if not has_summary and (folder / PRUNED).is_file():
        return "pruned", None
    if writes_summary and not has_summary:
        # Told to stop by somebody else (SIGTERM): Lightning then ends with status 0.
        return "running", "ended before it was done"
    return "done", None


def is_settled(facts: RunFacts, start: Start) -> bool:
    """Whether there is nothing left to do for a job."""
    if facts.state not in SETTLED:
        return False
    if facts.state == "pruned":
        # Else another study's trials were better, or nothing is pruned now.
        by = read_json(facts.folder / PRUNED)[0].get("study")
        return by is not None and by == start.study
    return not start.redo or not is_before(facts, start.started)


def is_before(facts: RunFacts, time: str) -> bool:
    """Whether a job's last attempt ended before a time, or is not known to have ended."""
    try:
        return datetime.fromisoformat(facts.status["ended"]) < datetime.fromisoformat(time)
    except (KeyError, TypeError, ValueError):
        return True


def failures(folder: Path, start: Start) -> int:
    """Jobs of this start that have failed since it began."""
    found = 0
    for key in start.keys:
        facts = read_run(folder.parent / key)
        found += facts.state == "failed" and not is_before(facts, start.started)
    return found


def say(job: Job, start: Start, what: str) -> None:
    """A line on the screen of the process that runs the job."""
    with heard_or_not():
        print(f"job {job.number}/{start.total} {job.label}: {what}", flush=True)
