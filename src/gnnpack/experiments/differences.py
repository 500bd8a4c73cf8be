"""What tells runs apart: the settings that differ, and what a sweep calls its jobs."""

from __future__ import annotations

from typing import Sequence

from gnnpack.experiments.report_config import differing, flat, short_names, telling
from gnnpack.experiments.run_folder import RunFacts

VARIANT = "variant"


def settings(run: RunFacts) -> dict[str, str]:
    """All settings of a run as text: its variant, its options, its config by dotted names.

    Without paths and cosmetics; an option stands for its group (``packer`` is ``lpfhp``). A run
    that failed before it wrote its config has what its sweep's job description says.
    """
    told = {} if run.variant is None else {VARIANT: run.variant}
    return {**told, **run.swept, **flat(run.config), **run.options}


def differences(runs: Sequence[RunFacts]) -> dict[str, list[str | None]]:
    """Setting -> its value in each run (None: it has none), of the settings that differ.

    What comes along with another setting (the keys of a packer with the packer) is left out.
    """
    known = [settings(run) for run in runs]
    if any(run.config and not run.options for run in runs):
        # A single run's options are not on record, only what they stand for: one language for all.
        known = [{**of_run, **flat(run.config)} for of_run, run in zip(known, runs)]
    # Runs without a config would differ from the others in everything.
    whole = [of_run for of_run, run in zip(known, runs) if run.config]
    names = telling(whole, differing(whole)) if len(whole) > 1 else []
    swept = [name for run in runs for name in run.swept]
    variants = [VARIANT] if len({run.variant for run in runs}) > 1 else []
    told = dict.fromkeys([*variants, *swept, *names])
    columns = {name: [of_run.get(name) for of_run in known] for name in told}
    return {name: column for name, column in columns.items() if len(set(column)) > 1}


def job_label(run: RunFacts) -> str:
    """What a sweep's job is: its variant, and what was swept; "" of a run of no sweep.

    >>> from pathlib import Path
    >>> job_label(RunFacts(Path("a"), "done", swept={"optimizer.lr": "0.1", "seed": "0"}))
    'lr=0.1 seed=0'
    """
    short = short_names(list(run.swept))
    said = [f"{short[name]}={value}" for name, value in run.swept.items()]
    return " ".join([*([run.variant] if run.variant else []), *said])
