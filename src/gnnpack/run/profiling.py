"""trainer.profiler: Lightning's and torch's profilers; what they write lies in the run folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning.profilers import AdvancedProfiler, SimpleProfiler
from pytorch_lightning.utilities import rank_zero_only

from gnnpack import tracking

log = logging.getLogger(__name__)

# What torch's profiler writes of some host steps; Lightning's own profilers report of a whole run.
OF_STEPS = {"pytorch": "profile.txt", "trace": "trace.json"}
OF_RUNS = {"simple": SimpleProfiler, "advanced": AdvancedProfiler}
REPORT = "profile"


def check_profiler(chosen: Any) -> None:
    """ValueError for a trainer.profiler that is none, listing those there are."""
    if chosen is None or (isinstance(chosen, DictConfig) and "_target_" in chosen):
        return
    names = [*OF_RUNS, *OF_STEPS]
    if chosen not in names:
        raise ValueError(
            f"trainer.profiler is {chosen!r}; choose one of {', '.join(names)}, or null for none."
        )


def make_profiler(chosen: Any, run_dir: Path) -> tuple[Any, list[pl.Callback]]:
    """The Trainer's profiler and the callbacks that trainer.profiler stands for."""
    if chosen is None:
        return None, []
    if isinstance(chosen, DictConfig):
        return instantiate(chosen), []
    if chosen in OF_STEPS:
        return None, [tracking.TraceSteps(run_dir / OF_STEPS[chosen])]
    return OF_RUNS[chosen](dirpath=str(run_dir), filename=REPORT), []


@rank_zero_only
def tell_profile(chosen: Any, run_dir: Path) -> None:
    """Say where the reports of a whole run are."""
    for file in sorted(run_dir.glob(f"*{REPORT}*")) if chosen in OF_RUNS else ():
        log.info("profile: %s", file)
