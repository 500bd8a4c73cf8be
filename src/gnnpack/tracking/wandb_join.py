"""The parts of a resumed run as one log, as if it had never stopped; whole, or what is left of it.

W&B appends a resumed part behind whatever its server has: sent again after an interruption, the
same rows would stand there twice. Here rows are counted over the whole run, so that what the server
has is left out. And rows that an earlier part logged after the checkpoint that a later one went on
from are left out, as they are in metrics.csv. Left out, too, are a part that was killed before W&B
wrote any of it, and a start that was refused after the run had ended well.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Sequence

from gnnpack.tracking.wandb_file import write_records
from gnnpack.tracking.wandb_parts import LocalRun, Part, messages_of

UPDATES = "trainer/global_step"
# Once in a log; a later part's would begin the run anew, or an earlier part's end it.
FROM_THE_FIRST = ("header", "run", "metric")
FROM_THE_LAST = ("exit", "final", "footer")


@contextmanager
def joined(run: LocalRun, skip: int = 0) -> Iterator[Path]:
    """A folder, like one of the parts', that holds the run without its first ``skip`` rows."""
    logs = _logs_of(run.parts)
    last = logs[-1].part
    with tempfile.TemporaryDirectory(prefix="gnnpack_wandb_") as place:
        folder = Path(place, "wandb", f"offline-run-{run.parts[0].started}-{run.run_id}")
        folder.mkdir(parents=True)
        if (last.folder / "files").is_dir():
            shutil.copytree(last.folder / "files", folder / "files")
        write_records(folder / last.file.name, _join(logs, skip))
        yield folder


def joined_records(parts: Sequence[Part], skip: int = 0) -> Iterator[bytes]:
    """The records of the run without its first ``skip`` rows, numbered from 1.

    Raises:
        ValueError: this wandb cannot append what is left.
    """
    return _join(_logs_of(parts), skip)


class _Log(NamedTuple):
    """What one part tells."""

    part: Part
    records: list[Any]

    @property
    def rows(self) -> list[Any]:
        return [record.history.item for record in self.records if record.HasField("history")]

    @property
    def ended_well(self) -> bool:
        return any(one.HasField("exit") and one.exit.exit_code == 0 for one in self.records)


def _logs_of(parts: Sequence[Part]) -> list[_Log]:
    logs: list[_Log] = []
    for part in parts:
        log = _Log(part, list(messages_of(part)))
        begun = any(record.HasField("run") for record in log.records)
        refused = not log.rows and any(before.ended_well for before in logs)
        if begun and not refused:
            logs.append(log)
    return logs


def _join(logs: Sequence[_Log], skip: int) -> Iterator[bytes]:
    begins = [_begins_at(log) for log in logs]
    clock, number = _Clock(skip), 0
    for place, log in enumerate(logs):
        until = min(begins[place + 1 :], default=float("inf"))
        clock.next_part()
        for record in log.records:
            kept = _kept(record, place, place == len(logs) - 1, until, clock)
            if kept is not None:
                number += 1
                kept.num = number
                yield kept.SerializeToString()


class _Clock:
    """Counts rows and seconds on from part to part."""

    def __init__(self, skip: int) -> None:
        self.skip = skip
        self._row, self._seconds, self._before = 0, 0.0, 0.0

    def next_part(self) -> None:
        self._before = self._seconds

    def row(self, record: Any) -> bool:
        """Number a row of history; whether it is to be sent."""
        row, self._row = self._row, self._row + 1
        self.shift(record.history.item, row)
        record.history.step.num = row - self.skip
        return row >= self.skip

    def shift(self, items: Sequence[Any], row: int | None = None) -> None:
        """Put the run's row and seconds in the place of the part's."""
        row = max(0, self._row - 1) if row is None else row
        for item in items:
            name = _name(item)
            if name == "_step":
                # W&B counts an appended log from 0 and adds what its server has.
                item.value_json = json.dumps(max(0, row - self.skip))
            elif name in ("_runtime", "_wandb/runtime"):
                seconds = json.loads(item.value_json) + self._before
                self._seconds = max(self._seconds, seconds)
                item.value_json = json.dumps(seconds)


def _kept(record: Any, place: int, last: bool, until: float, clock: _Clock) -> Any | None:
    """The record as it stands in the whole run's log; None where it has no place there."""
    kind = record.WhichOneof("record_type")
    if kind in FROM_THE_LAST and not last:
        return None
    if kind in FROM_THE_FIRST and place > 0:
        return _config_of(record) if kind == "run" else None
    if kind == "run" and clock.skip:
        if "resume" not in record.run.DESCRIPTOR.fields_by_name:
            raise ValueError(
                "a part of it is uploaded, and this wandb cannot add to it: upgrade it."
            )
        record.run.resume = True
    if kind == "history":
        updates = [json.loads(o.value_json) for o in record.history.item if _name(o) == UPDATES]
        if (updates and updates[0] >= until) or not clock.row(record):
            return None
    elif kind == "summary":
        clock.shift(record.summary.update)
    return record


def _begins_at(log: _Log) -> float:
    """Updates the run had done when this part began; no end where it has no row."""
    if log.part.resumed_at is not None and log.rows:
        return log.part.resumed_at
    updates = [
        json.loads(one.value_json) for row in log.rows for one in row if _name(one) == UPDATES
    ]
    return min(updates, default=float("inf"))


def _config_of(record: Any) -> Any | None:
    """A later part's settings, as a change of the first part's; None where it has none."""
    updates = [one for one in record.run.config.update if one.key != "_wandb"]
    if not updates:
        return None
    changed = type(record)()
    changed.config.update.extend(updates)
    return changed


def _name(item: Any) -> str:
    return item.key or "/".join(item.nested_key)
