"""The W&B runs on this disk, each with its parts: a resumed run has one for every start."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator, Sequence

from gnnpack.tracking.wandb_file import read_messages

NAME = re.compile(r"(?P<offline>offline-)?run-(?P<started>\d{8}_\d{6})-(?P<id>[A-Za-z0-9_-]+)")
# What W&B's own client writes beside a part that it has uploaded, and looks for.
MARK = ".synced"
# Where a part began that goes on from a checkpoint: updates the run had done. Ours.
RESUMED_AT = "resumed_at.txt"
# A part without an end that was written to this many seconds ago or less goes on.
ALIVE_SECONDS = 60.0
# A run's own folders in which no W&B run lies.
INSIDE = {"checkpoints", "figures"}


@dataclass(frozen=True)
class Part:
    """What one start of a run logged.

    Attributes:
        folder: ``<run_dir>/wandb/[offline-]run-STARTED-ID``.
        started: local time as W&B writes it, which sorts.
    """

    folder: Path
    run_id: str
    started: str
    offline: bool

    @property
    def file(self) -> Path:
        """The log of its records."""
        return self.folder / f"run-{self.run_id}.wandb"

    @property
    def mark(self) -> Path:
        """The file that says it is uploaded."""
        return self.file.with_name(self.file.name + MARK)

    @property
    def waits(self) -> bool:
        """Whether it was logged offline and is not uploaded."""
        return self.file.is_file() and not self.sent

    @property
    def sent(self) -> bool:
        """Whether the server has seen it."""
        return not self.offline or self.mark.exists()

    @property
    def resumed_at(self) -> int | None:
        """Updates the run had done when this part began; None = not known, or the first."""
        try:
            return int((self.folder / RESUMED_AT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    @property
    def fresh(self) -> bool:
        """Whether somebody wrote to it just now."""
        try:
            return time.time() - self.file.stat().st_mtime < ALIVE_SECONDS
        except OSError:
            return False


@dataclass(frozen=True)
class LocalRun:
    """A W&B run: its parts in the order they were logged."""

    run_dir: Path
    run_id: str
    parts: Sequence[Part] = field(default_factory=list)

    @property
    def waits(self) -> bool:
        """Whether something of it is not uploaded."""
        return any(part.waits for part in self.parts)


def find_local_runs(paths: Sequence[Path]) -> list[LocalRun]:
    """Every W&B run in and below the paths, sorted by folder; a part stands for its whole run.

    Raises:
        ValueError: a path is not there.
    """
    found: dict[tuple[str, str], list[Part]] = {}
    for path in paths:
        if not path.exists():
            raise ValueError(
                f"There is no {path}. Give a run's folder, or one above such as outputs/."
            )
        for part in _parts_at(path):
            place = os.path.realpath(part.folder.parent)
            parts = found.setdefault((place, part.run_id), [])
            if part.folder.name not in [other.folder.name for other in parts]:
                parts.append(part)
    return [
        LocalRun(parts[0].folder.parent.parent, run_id, sorted(parts, key=lambda one: one.started))
        for (_, run_id), parts in sorted(found.items())
    ]


def messages_of(part: Part) -> Iterator[Any]:
    """Every whole record of its log; none where there is no log."""
    return read_messages(part.file) if part.file.is_file() else iter(())


def has_ended(part: Part) -> bool:
    """Whether its log has the record a run ends with; a killed run's has not."""
    return any(record.HasField("exit") for record in messages_of(part))


def _parts_at(path: Path) -> Iterator[Part]:
    """Those of a run of which the path is a part or lies in one, else those below it."""
    real = path.resolve()
    for folder in (path, path.parent, real, real.parent):
        named = NAME.fullmatch(folder.name)
        if named is not None:
            # Rows are counted over the whole run, so no part is taken alone.
            beside = sorted(folder.parent.glob(f"*run-*-{named['id']}"))
            matched = ((other, NAME.fullmatch(other.name)) for other in beside)
            yield from (_part(other, match) for other, match in matched if match is not None)
            return
    yield from _parts_below(path)


def _parts_below(path: Path) -> Iterator[Part]:
    for place, folders, _ in os.walk(path):
        matched = {name: NAME.fullmatch(name) for name in folders}
        for name, match in sorted(matched.items()):
            if match is not None:
                yield _part(Path(place, name), match)
        folders[:] = sorted(n for n, match in matched.items() if match is None and n not in INSIDE)


def _part(folder: Path, match: re.Match[str]) -> Part:
    return Part(folder, match["id"], match["started"], bool(match["offline"]))
