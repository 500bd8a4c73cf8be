"""The process of one job: started, watched, ended tidily, and what it said last."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterator, Mapping, Sequence

# What a job's process is told: the content key its config must have, and who started it.
KEY_VARIABLE = "GNNPACK_JOB_KEY"
PARENT_VARIABLE = "GNNPACK_JOB_PARENT"

POLL_SECONDS = 1.0
# From an interruption to the end of the run: it writes what it has.
GRACE_SECONDS = 60.0
TAIL_BYTES = 65_536
LONGEST_REASON = 500
# Lines that come after what went wrong.
SAID_LATER = ("(HYDRA_FULL_ERROR", "wandb:", "Set the environment variable HYDRA_FULL_ERROR")
PR_SET_PDEATHSIG = 1


class Interrupted(Exception):
    """The job was told to end by Ctrl-C, or by the death of the sweep that it belongs to."""


def run_process(
    command: Sequence[str],
    log: Path,
    *,
    cwd: str,
    environment: Mapping[str, str],
    keep_open: Sequence[int] = (),
    cores: Sequence[int] = (),
    told_to_end: Callable[[], int | None] = lambda: None,
    began: Callable[[int], None] | None = None,
) -> int:
    """Run a program to its end and return its exit status, negative for a signal.

    Its output is appended to ``log``.

    Args:
        environment: added to this process's own.
        keep_open: descriptors of locks that it holds as well.
        cores: those it may use; () = all that this process may.
        told_to_end: asked every `POLL_SECONDS`; a signal by which the program is then ended.
        began: called with the program's process id.

    Raises:
        Interrupted: the program was ended because the sweep ends.
        OSError: it could not be started.
    """
    told = {**os.environ, **environment, PARENT_VARIABLE: str(os.getpid())}
    process: subprocess.Popen[bytes] | None = None
    try:
        with log.open("ab") as output, on_cores(cores):
            # In a session of its own: Ctrl-C reaches it once, through us.
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=told,
                pass_fds=tuple(keep_open),
                start_new_session=True,
            )
        if began is not None:
            began(process.pid)
        number = told_to_end()
        while number is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = process.wait(POLL_SECONDS)
                if status != 0:
                    kill_session(process)
                return status
            number = told_to_end()
    except KeyboardInterrupt:
        if process is not None:
            end_tidily(process, signal.SIGINT)
        raise Interrupted from None
    except BaseException:
        if process is not None:
            kill_session(process)
        raise
    end_tidily(process, number)
    raise Interrupted


def end_tidily(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal and wait `GRACE_SECONDS`; then, or at a second Ctrl-C, kill it.

    What it has started and left behind is killed too.
    """
    with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
        process.send_signal(number)
        process.wait(GRACE_SECONDS)
    kill_session(process)
    process.wait()


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill a program that has a session of its own, and the other ranks that it started there."""
    process.kill()
    # Of a group without a process there is nothing to kill; macOS has another word for that.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def die_with_parent() -> None:
    """In a job's process: be ended by the system when the one that started it is killed.

    Linux alone can do it. Elsewhere such a job runs to its end, and holds its lock until then.
    """
    parent = os.environ.pop(PARENT_VARIABLE, None)
    if parent is None or not sys.platform.startswith("linux"):
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        raise SystemExit("The sweep that started this job has ended.")


@contextlib.contextmanager
def on_cores(cores: Sequence[int]) -> Iterator[None]:
    """Let what this thread starts run on these cores alone; () changes nothing."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def reason_of(status: int, log: Path, start: int = 0) -> str:
    """One line on why a program failed: the signal, or the last it said from byte ``start`` on."""
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = "unknown"
        guess = ", perhaps out of memory" if -status == signal.SIGKILL else ""
        return f"killed by signal {-status} ({name}){guess}"
    said = last_line(log, start)
    return said or f"ended with status {status} and said nothing"


def last_line(log: Path, start: int = 0) -> str:
    """The last line with something to say from byte ``start`` on; "" if there is none."""
    try:
        with log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(start, end - TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    for line in reversed(text.replace("\r", "\n").split("\n")):
        line = line.strip()
        if any(letter.isalnum() for letter in line) and not line.startswith(SAID_LATER):
            line = line[len("train: ") :] if line.startswith("train: ") else line
            return line[:LONGEST_REASON]
    return ""
