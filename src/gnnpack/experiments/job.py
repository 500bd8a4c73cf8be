"""The files that make a run folder one job of a sweep."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Mapping, Sequence

FORMAT_VERSION = 1
JOB, STATE, LOCK, OUTPUT = "job.json", "state.json", ".lock", "output.log"
SWEEP = "sweep.json"
# In state.json: the checkpoint that an attempt began with.
FROM = "from_checkpoint"
# In the folder of a run that a search stopped because others were better.
PRUNED = "pruned.json"


@dataclass(frozen=True)
class Job:
    """One job: what job.json holds.

    Attributes:
        sweep: name of the sweep.
        key: content key, the name of its folder.
        number: from 1, in the order of the sweep.
        overrides: what the configuration is composed from.
        variant: name of the sweep's variant, if it has some.
        swept: key -> value as typed, of the keys in which the sweep's jobs differ.
        must_learn: a test error not below the training mean's is a failure.
        options: config group -> chosen option.
    """

    sweep: str
    key: str
    number: int
    overrides: Sequence[str]
    variant: str | None = None
    swept: Mapping[str, str] = field(default_factory=dict)
    must_learn: bool = False
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What people call it.

        >>> Job("s", "0" * 12, 1, [], "padding", {"seed": "0"}).label
        'padding seed=0'
        """
        swept = [f"{key}={value}" for key, value in self.swept.items()]
        return " ".join([*([self.variant] if self.variant else []), *swept]) or self.key


def write_job(folder: Path, job: Job) -> None:
    """Write job.json; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / JOB, {"format_version": FORMAT_VERSION, **asdict(job)})


def read_job(folder: Path) -> Job:
    """Read job.json.

    Raises:
        ValueError: it is missing, damaged or of another version.
    """
    path = folder / JOB
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        version = found.pop("format_version")
        if version == FORMAT_VERSION:
            return Job(**found)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} cannot be read ({error}); start the sweep again.") from error
    raise ValueError(f"{path} has format version {version}; this program reads {FORMAT_VERSION}.")


def write_sweep(
    folder: Path, name: str, keys: Sequence[str], overrides: Sequence[str], started: str
) -> None:
    """Write sweep.json: the keys of the last start's jobs, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"name": name, "jobs": list(keys), "overrides": list(overrides), "started": started}
    write_whole(folder / SWEEP, {"format_version": FORMAT_VERSION, **content})


def write_state(folder: Path, state: str, **facts: Any) -> None:
    """Write state.json: running, done, failed or pruned, and what is known beside it."""
    names = ("attempt", "started", "ended", "exit_status", "reason", "device", "pid", FROM)
    write_whole(folder / STATE, {"state": state, **{name: facts.get(name) for name in names}})


def write_whole(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON so that a reader, and a machine that crashes, see the old file or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=2, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def now() -> str:
    """This moment, with the zone."""
    return datetime.now(timezone.utc).astimezone().isoformat(timespec="milliseconds")
