"""What a job of a sweep is called at W&B: its sweep is the group, what differs is the name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

JOB = "job.json"


def sweep_words(run_dir: Path) -> dict[str, Any]:
    """``group``, ``job_type``, ``name`` and ``tags`` of the job in a folder; {} if it is none."""
    try:
        job = json.loads((run_dir / JOB).read_text(encoding="utf-8"))
        swept = [f"{key}={value}" for key, value in job["swept"].items()]
        variant = [job["variant"]] if job.get("variant") else []
        return {
            "group": str(job["sweep"]),
            "job_type": "sweep",
            "name": " ".join([*variant, *swept]) or str(job["key"]),
            # A tag has 64 letters at most.
            "tags": [tag[:64] for tag in (*variant, str(job["sweep"]))],
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
