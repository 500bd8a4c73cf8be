"""What the run of a trial is told, and what it leaves to be read."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from gnnpack.experiments.job import PRUNED
from gnnpack.experiments.run_folder import RunFacts, read_json
from gnnpack.experiments.study import SearchSettings, pruner_words

# Holds a trial's place in its study, as JSON; set for the trial's own process alone.
TRIAL_VARIABLE = "GNNPACK_TRIAL"


def trial_environment(settings: SearchSettings, number: int) -> dict[str, str]:
    """Variables that make a run report to the study as this trial."""
    words = {
        "storage": settings.place,
        "study": settings.name,
        "number": number,
        "pruner": pruner_words(settings),
    }
    return {TRIAL_VARIABLE: json.dumps(words)}


def was_pruned(folder: Path) -> bool:
    """Whether the run in the folder was stopped by the study."""
    return bool(read_json(folder / PRUNED)[0])


def value_of(facts: RunFacts, metric: str) -> float | None:
    """The number a trial is judged by; None where the run has none."""
    value: Any = facts.summary.get(metric)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if number and math.isfinite(value) else None
