"""What a run folder tells, whatever state the run was left in."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Mapping, Sequence

import numpy as np
import yaml

from gnnpack.experiments.job import JOB, LOCK, OUTPUT, STATE
from gnnpack.experiments.run_state import lock_is_held, state_of

# libyaml's reader takes a tenth of the time; not every build of PyYAML has it.
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# What a run's own process writes first.
STARTED = (OUTPUT, "train.log", "run.json", "metrics.csv")
# How a run's overrides name the variant of a sweep that it is.
VARIANT = "variant="


@dataclass(eq=False)
class RunFacts:
    """What a run folder tells; every part may be missing (empty) in runs that failed or go on.

    config, record and metrics are read from the folder when they are first asked for.
    """

    folder: Path
    state: str  # done failed pruned running unfinished missing
    reason: str | None = None  # why it failed, or which file is damaged
    sweep: str | None = None
    key: str | None = None  # the job's content key
    variant: str | None = None
    swept: Mapping[str, str] = field(default_factory=dict)  # what differs between the sweep's jobs
    options: Mapping[str, str] = field(default_factory=dict)  # config group -> option
    job: Mapping[str, Any] = field(default_factory=dict)  # job.json
    status: Mapping[str, Any] = field(default_factory=dict)  # state.json
    summary: Mapping[str, Any] = field(default_factory=dict)  # summary.json
    live: Mapping[str, Any] = field(default_factory=dict)  # live.json

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.name

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The resolved config.yaml; {} if there is none."""
        found = _read_yaml(self.folder / "config.yaml")
        return found if isinstance(found, dict) else {}

    @cached_property
    def record(self) -> Mapping[str, Any]:
        """run.json: started, argv, git, versions, machine, seeds, data; {} if there is none."""
        return read_json(self.folder / "run.json")[0]

    @cached_property
    def later_records(self) -> Sequence[Mapping[str, Any]]:
        """What `record` would be for every time the run was resumed, in order."""
        # run_resumed_10.json comes behind run_resumed_9.json.
        files = [(len(path.name), path) for path in self.folder.glob("run_resumed*.json")]
        return [record for record, _ in (read_json(path) for _, path in sorted(files)) if record]

    @property
    def records(self) -> Sequence[Mapping[str, Any]]:
        """`record` and the later ones, those that there are."""
        return [record for record in (self.record, *self.later_records) if record]

    @cached_property
    def typed(self) -> Sequence[str]:
        """The overrides it was started with, ``variant=NAME`` behind what that stands for."""
        told = self.record.get("argv")
        if not isinstance(told, list):
            # A run that was killed early has no run.json.
            told = _read_yaml(self.folder / "overrides.yaml")
        return [str(word) for word in told] if isinstance(told, list) else []

    @cached_property
    def metrics(self) -> Mapping[str, np.ndarray[Any, Any]]:
        """metrics.csv as column -> float64 array (num_rows,), NaN where a row has no number."""
        from gnnpack.tracking.metrics_rows import read_columns

        return read_columns(self.folder / "metrics.csv")


def read_run(folder: Path, *, mine: bool = False) -> RunFacts:
    """The facts of one run folder; a folder that is not there is a run that is missing.

    ``mine``: this process holds the run's lock, so nobody else runs it.
    """
    job, _ = read_json(folder / JOB)
    status, _ = read_json(folder / STATE)
    summary, damage = read_json(folder / "summary.json")
    live, _ = read_json(folder / "live.json")
    state, reason = state_of(
        job=job,
        status=status,
        summary=summary,
        live=live,
        locked=lambda: not mine and lock_is_held(folder / LOCK),
        started=lambda: was_started(folder),
        now=time.time(),
    )
    if state == "running" and _is_of_before(live, status):
        live = {}
    run = RunFacts(
        folder=folder,
        state=state,
        reason=reason or damage,
        sweep=_text(job.get("sweep")),
        key=_text(job.get("key")),
        variant=_text(job.get("variant")),
        swept=_texts(job.get("swept")),
        options=_texts(job.get("options")),
        job=job,
        status=status,
        summary=summary,
        live=live,
    )
    if not job:
        # No sweep tells what it is; W&B's agents and people type variant=NAME.
        named = [word[len(VARIANT) :] for word in run.typed if word.startswith(VARIANT)]
        run.variant = named[-1] if named else None
    return run


def read_json(path: Path) -> tuple[dict[str, Any], str | None]:
    """The mapping in a JSON file, and what is wrong with the file; {} where it cannot be read."""
    try:
        found = json.loads(path.read_bytes().decode("utf-8", "replace"))
    except (FileNotFoundError, NotADirectoryError):
        return {}, None
    except OSError as error:
        return {}, f"{path.name} cannot be read: {error.strerror}"
    except ValueError as error:
        return {}, f"{path.name} is damaged: {error}"
    if not isinstance(found, dict):
        return {}, f"{path.name} is damaged: it holds a {type(found).__name__}, not a mapping"
    return found, None


def _read_yaml(path: Path) -> Any:
    """What a YAML file holds; None where it cannot be read."""
    try:
        return yaml.load(path.read_text(encoding="utf-8", errors="replace"), Loader=_YAML)
    except (OSError, yaml.YAMLError):
        return None


def was_started(folder: Path) -> bool:
    """Whether a job's process has written anything of its own there."""
    return any((folder / name).exists() for name in STARTED)


def _is_of_before(live: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Whether live.json is left from an attempt before the one that state.json is about."""
    try:
        return float(live["time"]) < datetime.fromisoformat(status["started"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return False


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _texts(value: Any) -> dict[str, str]:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}
