"""Names of groups of runs, from what was swept or what differs in their configs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Mapping, Sequence

from gnnpack.experiments.report_config import ABSENT, SEED, differing, short_names, telling

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts

# Longer names do not fit beside an axis.
LONGEST_LABEL = 44


def group_labels(runs: Sequence[RunFacts], configs: Sequence[Mapping[str, str]]) -> list[str]:
    """A name for each run, no two alike, of what sets it apart: ``packer=lpfhp, lr=0.001``.

    Args:
        runs: one of each group.
        configs: their flat configs without the seed; empty where a run left none.
    """
    by_sweep = _sweep_labels(runs)
    told = [tuple(parts) for parts in by_sweep if parts]
    # A job that never began has no description: its name is that of its folder.
    if len(set(told)) == len(told) and all(s or not c for s, c in zip(by_sweep, configs)):
        return unique(fitting([s or [run.name] for s, run in zip(by_sweep, runs)]))
    known = [config for config in configs if config]
    names = telling(known, differing(known))
    short = short_names(names)
    labels = []
    for run, config in zip(runs, configs):
        said = [f"{short[n]}={config.get(n, ABSENT)}" for n in names if n in config]
        if len(known) == 1 and config:
            said = [config[name] for name in ("dataset", "packer", "model") if name in config]
        if len({run.sweep for run in runs}) > 1 and run.sweep:
            said = [run.sweep, *said]
        labels.append(said or [run.name])
    return unique(fitting(labels))


def _sweep_labels(runs: Sequence[RunFacts]) -> list[list[str]]:
    sweeps = {run.sweep for run in runs}
    keys = list(dict.fromkeys(key for run in runs for key in run.swept))
    short = short_names(keys)
    labels = []
    for run in runs:
        said = [f"{short[k]}={value}" for k, value in run.swept.items() if k != SEED]
        parts = [run.sweep if len(sweeps) > 1 else None, run.variant, *said]
        labels.append([part for part in parts if part])
    return labels


def fitting(labels: Sequence[Sequence[str]]) -> list[str]:
    """Labels from their parts, shortened; where that makes several alike, values without keys.

    >>> fitting([["paper_model_size", "hidden_channels=64", "num_interactions=2"],
    ...          ["paper_model_size", "hidden_channels=128", "num_interactions=2"]])
    ['paper_model_size, 64, 2', 'paper_model_size, 128, 2']
    """
    whole = [", ".join(parts) for parts in labels]
    short = [shortened(label) for label in whole]
    if len(set(short)) == len(set(whole)):
        return short
    values = [[part.partition("=")[2] or part for part in parts] for parts in labels]
    return [shortened(", ".join(parts)) for parts in values]


def shortened(label: str, longest: int = LONGEST_LABEL) -> str:
    """The label, its middle cut out where it is too long."""
    if len(label) <= longest:
        return label
    half = (longest - 3) // 2
    return f"{label[:half]} … {label[-half:]}"


def unique(labels: Sequence[str]) -> list[str]:
    """The labels, those that came before with a number behind.

    >>> unique(["a", "b", "a"])
    ['a', 'b', 'a (2)']
    """
    told: dict[str, None] = {}
    for label in labels:
        number, name = 1, label
        while name in told:
            number += 1
            name = f"{label} ({number})"
        told[name] = None
    return list(told)


def natural(label: str) -> list[tuple[int, float, str]]:
    """Order of names with numbers in them.

    >>> sorted(["a=128", "a=64"], key=natural)
    ['a=64', 'a=128']
    """
    parts = re.split(r"(\d+(?:\.\d+)?)", label)
    return [(0, float(p), "") if p[:1].isdigit() else (1, 0.0, p) for p in parts if p]
