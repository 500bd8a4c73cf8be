"""Whether a job goes on from its last checkpoint or begins anew; what it left then moves aside."""

from __future__ import annotations

import zipfile
from pathlib import Path

from gnnpack.experiments.job import FROM, JOB, LOCK, STATE
from gnnpack.experiments.run_folder import RunFacts

CHECKPOINT = Path("checkpoints", "last.ckpt")
ATTEMPT = "attempt_"
STAYS = (JOB, LOCK)
# What a start decides by what an attempt left, and so what is moved first and last.
FIRST = (CHECKPOINT.parts[0], "summary.json")


def next_attempt(facts: RunFacts) -> int:
    """Number of the attempt that comes now, from 1."""
    before = [int(facts.status.get("attempt") or 0)]
    for path in facts.folder.glob(f"{ATTEMPT}*"):
        number = path.name[len(ATTEMPT) :]
        before += [int(number)] if number.isdigit() else []
    return 1 + max(before)


def may_go_on(facts: RunFacts) -> bool:
    """Whether the job goes on from its last checkpoint instead of beginning anew.

    It does where there is one that can be read, unless the run had ended (it did not learn, or is
    wanted again), or an attempt that went on from this very checkpoint ended by an error.
    """
    if had_ended(facts) or not (facts.folder / "config.yaml").is_file():
        return False
    if facts.status.get("state") == "failed" and _was_in_vain(facts):
        return False
    return is_whole(facts.folder / CHECKPOINT)


def had_ended(facts: RunFacts) -> bool:
    """Whether the run came to its end and told a result, whatever the result is."""
    ended = facts.status.get("exit_status") in (0, None)
    return facts.state == "done" or (facts.state == "failed" and bool(facts.summary) and ended)


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint can be read: a zip archive in which every part has its checksum."""
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, ValueError, EOFError, NotImplementedError):
        return False


def checkpoint_stamp(folder: Path) -> str | None:
    """What tells one checkpoint of a run from a later one; None where there is none."""
    try:
        stat = (folder / CHECKPOINT).stat()
    except OSError:
        return None
    return f"{stat.st_mtime_ns} {stat.st_size}"


def set_aside(folder: Path, number: int) -> None:
    """Move everything a job's attempt left to ``attempt_<number>/``; nothing is deleted.

    In such an order that a start after one that was killed at this decides the same: what it could
    go on from first, state.json last.
    """
    left = sorted((path for path in folder.iterdir() if not _stays(path)), key=_turn)
    if not left:
        return
    place = folder / f"{ATTEMPT}{number}"
    place.mkdir(exist_ok=True)
    for path in left:
        path.replace(_free(place / path.name))


def _turn(path: Path) -> int:
    if path.name in FIRST:
        return FIRST.index(path.name)
    return len(FIRST) + (path.name == STATE)


def _stays(path: Path) -> bool:
    return path.name in STAYS or path.name.startswith(ATTEMPT)


def _free(path: Path) -> Path:
    """The path, or one beside it where an earlier move was broken off."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}_{number}")
    return candidate


def _was_in_vain(facts: RunFacts) -> bool:
    """Whether an error ended an attempt that had begun at the checkpoint which is still the last.

    Lack of memory is no such error: others may have used it.
    """
    status = facts.status
    killed = (status.get("exit_status") or 0) < 0
    if killed or "out of memory" in str(status.get("reason")).lower():
        return False
    stamp = checkpoint_stamp(facts.folder)
    return stamp is not None and status.get(FROM) == stamp
