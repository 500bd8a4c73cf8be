"""study.json: what a study knows, readable without Optuna and without its data base."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gnnpack.experiments.job import write_whole
from gnnpack.experiments.search_space import Choices, typed
from gnnpack.experiments.study import KEY, REASON, Study

FORMAT_VERSION = 1
# Optuna's words, and those of runs.
STATES = {
    "COMPLETE": "done",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}


def record_path(folder: Path, sweep: str, study: str) -> Path:
    """``study.json``, or one of its own for a study that is not named like its sweep."""
    return folder / ("study.json" if study == sweep else f"study_{study}.json")


def study_record(study: Study, *, with_importance: bool = False) -> dict[str, Any]:
    """What study.json holds: the question, every trial as far as it is, and the best one."""
    settings, best = study.settings, study.best
    return {
        "format_version": FORMAT_VERSION,
        "name": settings.name,
        "direction": settings.direction,
        "metric": settings.metric,
        "num_trials": settings.num_trials,
        "sampler": settings.sampler,
        "pruner": settings.pruner,
        "seed": settings.seed,
        "space": {
            key: {"choices": list(entry.values)} if isinstance(entry, Choices) else asdict(entry)
            for key, entry in settings.space.items()
        },
        "trials": [_trial(trial) for trial in study.trials],
        "best": None if best is None else best.number,
        "importance": study.importance() if with_importance else {},
    }


def write_record(study: Study, *, with_importance: bool = False) -> list[str]:
    """Write study.json; returns the keys of the trials' runs, each once, in order."""
    settings = study.settings
    record = study_record(study, with_importance=with_importance)
    write_whole(record_path(settings.folder, settings.folder.name, settings.name), record)
    return list(dict.fromkeys(trial["key"] for trial in record["trials"] if trial["key"]))


def _trial(trial: Any) -> dict[str, Any]:
    seconds = None if trial.duration is None else trial.duration.total_seconds()
    return {
        "number": trial.number,
        "state": STATES[trial.state.name],
        "value": _finite(trial.value),
        "params": {key: typed(value) for key, value in trial.params.items()},
        "key": trial.user_attrs.get(KEY),
        "reason": trial.user_attrs.get(REASON),
        "validations": {
            str(step): _finite(value) for step, value in trial.intermediate_values.items()
        },
        "seconds": seconds,
    }


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
