"""Runs filtered and sorted by what they are called by: facts, settings and results."""

from __future__ import annotations

import difflib
from typing import Any, Callable, Mapping, Sequence

from gnnpack.experiments import run_facts
from gnnpack.experiments.differences import settings
from gnnpack.experiments.run_folder import RunFacts

FACTS: Mapping[str, Callable[[RunFacts], Any]] = {
    "state": lambda run: run.state,
    "sweep": lambda run: run.sweep,
    "variant": lambda run: run.variant,
    "key": lambda run: run.key,
    "folder": lambda run: str(run.folder),
    "name": lambda run: run.name,
    "started": lambda run: str(run_facts.started(run) or ""),
    "seconds": run_facts.seconds,
    "molecules_per_second": run_facts.molecules_per_second,
    "filler": run_facts.filler_fraction,
}


def filter_runs(runs: Sequence[RunFacts], filters: Sequence[str]) -> list[RunFacts]:
    """The runs of which every ``key=value`` or ``key=value,value`` (one of them) is true.

    A key is a fact (`FACTS`), an option (packer=lpfhp), a config key (optimizer.lr=1e-3) or a key
    of summary.json. Numbers are compared as numbers, text without regard to case.

    Raises:
        ValueError: no =, or no run has the key.
    """
    kept = list(runs)
    for text in filters:
        key, equals, wanted = text.partition("=")
        if not equals or not key:
            raise ValueError(f"--filter {text}: write key=value, e.g. --filter packer=lpfhp.")
        _refuse_unknown(key, runs, "--filter")
        choices = [choice.strip() for choice in wanted.split(",")]
        kept = [run for run in kept if any(same(value_of(run, key), c) for c in choices)]
    return kept


def sort_runs(runs: Sequence[RunFacts], key: str) -> list[RunFacts]:
    """The runs by the value of a key, ``-key`` the largest first; those without it come last.

    Raises:
        ValueError: no run has the key.
    """
    falling, key = key.startswith("-"), key.lstrip("-")
    _refuse_unknown(key, runs, "--sort")
    values = [value_of(run, key) for run in runs]
    known = [i for i, value in enumerate(values) if value not in (None, "")]
    numbers = [_number(value) for value in values]
    if all(numbers[i] is not None for i in known):
        known.sort(key=lambda i: numbers[i] or 0.0, reverse=falling)
    else:
        known.sort(key=lambda i: str(values[i]), reverse=falling)
    have = set(known)
    return [runs[i] for i in [*known, *(i for i in range(len(runs)) if i not in have)]]


def value_of(run: RunFacts, key: str) -> Any:
    """The run's value of a key; None if it has none."""
    if key in FACTS:
        return FACTS[key](run)
    for known in (run.options, run.summary, run.swept):
        if key in known:
            return known[key]
    return settings(run).get(key)


def same(value: Any, wanted: str) -> bool:
    """Whether a value is what somebody typed.

    >>> same(0.001, "1e-3"), same("QM9", "qm9"), same(None, "null"), same(0.5, "half")
    (True, True, True, False)
    """
    text = "null" if value is None else str(value)
    if text.casefold() == wanted.casefold():
        return True
    number, typed = _number(value), _number(wanted)
    return number is not None and number == typed


def _refuse_unknown(key: str, runs: Sequence[RunFacts], where: str) -> None:
    if key in FACTS or not runs or any(value_of(run, key) is not None for run in runs):
        return
    known = dict.fromkeys([*FACTS, *(k for run in runs for k in (*run.summary, *settings(run)))])
    if key in known:
        return
    near = [name for name in known if name.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]]
    near += difflib.get_close_matches(key, known, n=3, cutoff=0.6)
    hint = f" Did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""
    raise ValueError(
        f"{where} {key}: no run has such a key.{hint} `gnnpack runs --csv | head -1` prints the "
        "keys of the results, `python train.py --cfg job` those of the config."
    )


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
