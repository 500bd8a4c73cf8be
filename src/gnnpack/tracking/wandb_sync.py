"""Upload the W&B runs that wait on this disk: every row once, resumed runs as one."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence

from gnnpack.tracking.json_file import write_json
from gnnpack.tracking.wandb_client import rows_on_server
from gnnpack.tracking.wandb_join import joined
from gnnpack.tracking.wandb_parts import MARK, LocalRun, has_ended, messages_of

# Takes a folder like offline-run-STARTED-ID and returns when the server has all of it. A process
# that it starts keeps the descriptors open: it then holds the run's lock, also when left alone.
Uploader = Callable[[Path, Sequence[int]], None]
# (project, entity, run id) -> rows of history that the server has.
RowCounter = Callable[[str, str, str], int]
# Beside the parts: what was sent. W&B's own marks vanish with `wandb clean`.
SENT = "sent.json"
LOCK = ".upload.lock"
UPLOAD_SECONDS = 3600.0
# W&B's server counts what it was sent some seconds later.
COUNT_SECONDS = 30.0
# Of the training, not of an upload: they would send it elsewhere, or nowhere.
FOREIGN = ("WANDB_MODE", "WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_RESUME")


class UploadError(Exception):
    """The server has not got all of it; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """What became of one run: uploaded, running, failed, busy (sent by another, or just now), or
    empty (there is nothing to send)."""

    run: LocalRun
    state: str
    reason: str = ""


def sync_runs(
    runs: Sequence[LocalRun],
    upload: Uploader,
    is_running: Callable[[Path], bool],
    count_rows: RowCounter = rows_on_server,
) -> Iterator[Outcome]:
    """Upload every run that waits and has ended, one after another; one that fails stops none.

    That a run is being sent is written down before, and that it was sent after; where either is
    known of a run, or W&B itself sent a part, the server is asked what it has, and gets the rest.

    Args:
        is_running: whether somebody still writes to a run's folder.
    """
    for run in runs:
        if not run.waits:
            continue
        if goes_on(run, is_running):
            yield Outcome(run, "running")
            continue
        with _alone(run) as held:
            # Another upload may have been at it meanwhile.
            if not any(part.waits for part in run.parts):
                continue
            if held is None:
                yield Outcome(run, "busy")
            else:
                yield _upload(run, upload, count_rows, held)


def goes_on(run: LocalRun, is_running: Callable[[Path], bool]) -> bool:
    """Whether the run still logs."""
    last = run.parts[-1]
    if is_running(run.run_dir):
        return True
    with contextlib.suppress(ValueError, OSError):
        return last.fresh and not has_ended(last)
    return False


def upload_by_wandb(folder: Path, keep_open: Sequence[int] = ()) -> None:
    """Upload with W&B's own client, in a process of its own that holds ``keep_open`` as well.

    Raises:
        UploadError: it did not say that it had sent everything, or took over an hour.
    """
    environment = {k: v for k, v in os.environ.items() if k not in FOREIGN}
    # Crash reports of wandb itself would go to others than its server.
    environment["WANDB_ERROR_REPORTING"] = "false"
    with tempfile.TemporaryDirectory(prefix="gnnpack_wandb_logs_") as logs:
        # Else its own logs would lie in ./wandb.
        environment["WANDB_DIR"] = logs
        try:
            done = subprocess.run(
                [sys.executable, "-m", "wandb", "sync", str(folder.absolute())],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=UPLOAD_SECONDS,
                pass_fds=tuple(keep_open),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UploadError(f"not done after {UPLOAD_SECONDS / 60:.0f} minutes") from None
    # Its exit status is 0 also where it has sent nothing; the mark is its word.
    if not any(folder.glob(f"*.wandb{MARK}")):
        raise UploadError(_last_line(done.stdout.decode("utf-8", "replace")))


def _upload(
    run: LocalRun, upload: Uploader, count_rows: RowCounter, held: Sequence[int]
) -> Outcome:
    try:
        begun = _begun(run)
        if begun is None:
            return Outcome(run, "empty", "nothing of it was written before it was killed")
        known = _sent(run).get(run.run_id)
        if _too_soon(run, known):
            return Outcome(run, "busy", "its upload was broken off just now; in half a minute")
        _refuse_gaps(run, known)
        there = 0
        if known is not None or any(part.sent for part in run.parts):
            there = count_rows(begun.project, begun.entity, run.run_id)
        with _noted(run):
            # W&B refuses the log of a killed run, which is cut off; joined ones are whole.
            if len(run.parts) == 1 and there == 0 and has_ended(run.parts[0]):
                upload(run.parts[0].folder, held)
            else:
                with joined(run, there) as folder:
                    upload(folder, held)
    except (UploadError, ValueError, OSError) as error:
        return Outcome(run, "failed", str(error))
    for part in run.parts:
        if part.offline:
            part.mark.touch()
    return Outcome(run, "uploaded")


def _begun(run: LocalRun) -> Any | None:
    """The record that the run begins with; None where every part was killed before it."""
    records = (record for part in run.parts for record in messages_of(part))
    return next((record.run for record in records if record.HasField("run")), None)


def _refuse_gaps(run: LocalRun, known: dict[str, Any] | None) -> None:
    """Rows are counted from the first part on, so all must be there."""
    there = {part.folder.name for part in run.parts if part.file.is_file()}
    missing = [name for name in (known or {}).get("parts", []) if name not in there]
    if missing:
        raise ValueError(
            f"the earlier part {missing[0]} was uploaded and then deleted here, so it is not known "
            "which rows the server has. Put the folder back."
        )


def _too_soon(run: LocalRun, known: dict[str, Any] | None) -> bool:
    """Whether an upload was broken off so lately that the server may not have counted its rows."""
    if known is None or known["whole"]:
        return False
    ended = known.get("ended")
    if ended is None:
        # It was killed; the client that it had started may have ended only now.
        _write(run, {**known, "ended": time.time()})
        return True
    return bool(time.time() - ended < COUNT_SECONDS)


@contextlib.contextmanager
def _noted(run: LocalRun) -> Iterator[None]:
    """Write down that the run is being sent, and at the end when, and whether all of it was."""
    _note(run, whole=False, ended=None)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            _note(run, whole=False, ended=time.time())
        raise
    _note(run, whole=True, ended=time.time())


def _note(run: LocalRun, *, whole: bool, ended: float | None) -> None:
    parts = [part.folder.name for part in run.parts if part.file.is_file()]
    _write(run, {"parts": parts, "whole": whole, "ended": ended})


def _write(run: LocalRun, entry: dict[str, Any]) -> None:
    write_json(_place(run), {**_sent(run), run.run_id: entry})


def _sent(run: LocalRun) -> dict[str, Any]:
    """Run id -> what was sent of it."""
    try:
        found = json.loads(_place(run).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _place(run: LocalRun) -> Path:
    return run.parts[0].folder.parent / SENT


@contextlib.contextmanager
def _alone(run: LocalRun) -> Iterator[Sequence[int] | None]:
    """The descriptors that hold the run's lock, until all who have them end; None = it is taken."""
    descriptor = os.open(run.parts[0].folder.parent / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield _locked(descriptor)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> Sequence[int] | None:
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows
        return ()
    except BlockingIOError:
        return None
    return (descriptor,)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "rror" in line and "error logs at" not in line]
    return (errors or lines or ["wandb said nothing"])[-1][:500]
