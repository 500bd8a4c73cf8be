"""Runs that differ in their seed only, as one group with one name."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterable, Mapping, Sequence

from gnnpack.experiments.accelerator_of import AUTO, accelerator_of
from gnnpack.experiments.report_config import SEED, flat
from gnnpack.experiments.report_labels import group_labels, natural
from gnnpack.experiments.report_numbers import Spread, finite, spread

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts


@dataclass(eq=False)
class Group:
    """Runs of one config and several seeds."""

    label: str
    runs: list[RunFacts] = field(default_factory=list)

    @property
    def measured(self) -> list[RunFacts]:
        """Its runs that came to a test error, also those counted as failed for not learning."""
        return [run for run in self.runs if finite(run.summary.get("test_mae")) is not None]

    @property
    def folders(self) -> list[Path]:
        """Of the runs that were measured."""
        return [run.folder for run in self.measured]

    def numbers(self, key: str) -> list[float]:
        """``summary[key]`` of the runs that have it."""
        found = (finite(run.summary.get(key)) for run in self.measured)
        return [value for value in found if value is not None]

    def spread(self, key: str) -> Spread | None:
        """Of ``summary[key]`` over the runs; None where it was not measured."""
        return spread(self.numbers(key))

    def mean(self, key: str) -> float | None:
        """Of ``summary[key]`` over the runs; None where it was not measured."""
        found = self.spread(key)
        return None if found is None else found.mean

    @property
    def task(self) -> tuple[str, str, str]:
        """What was learnt: data set, target, unit. Errors of different tasks are no ratios."""
        return task_of(self.measured[0] if self.measured else self.runs[0])


def task_of(run: RunFacts) -> tuple[str, str, str]:
    """Data set, target and unit of a run; "" where it is not known."""
    data = run.record.get("data")
    dataset = data.get("dataset") if isinstance(data, Mapping) else None
    told = (dataset, run.summary.get("target"), run.summary.get("unit"))
    return tuple("" if one is None else str(one) for one in told)  # type: ignore[return-value]


def group_runs(runs: Sequence[RunFacts]) -> list[Group]:
    """The runs by sweep and config, seed aside; groups in the natural order of their labels.

    A run that failed before it wrote its config joins the group of its sweep's job description.
    """
    return _grouped(tuple(runs))


# Every section asks for the groups of the same runs.
@lru_cache(maxsize=1)
def _grouped(runs: tuple[RunFacts, ...]) -> list[Group]:
    configs = [_settings(run) for run in runs]
    by_config: dict[Any, list[int]] = {}
    by_job: dict[Any, list[int]] = {}
    for number, (run, config) in enumerate(zip(runs, configs)):
        if config:
            # The same settings in two sweeps were asked for twice.
            members = by_config.setdefault((run.sweep, *sorted(config.items())), [])
            members.append(number)
            if run.key:
                by_job.setdefault(_job(run), members)
    for number, (run, config) in enumerate(zip(runs, configs)):
        if not config:
            # Without even a job description it stands alone.
            job = _job(run) if run.key else ("", run.folder)
            if job not in by_job:
                by_job[job] = by_config.setdefault(job, [])
            by_job[job].append(number)
    members_of = list(by_config.values())
    labels = group_labels([runs[m[0]] for m in members_of], [configs[m[0]] for m in members_of])
    groups = [Group(label, [runs[i] for i in m]) for label, m in zip(labels, members_of)]
    return sorted(groups, key=lambda group: natural(group.label))


def _settings(run: RunFacts) -> dict[str, str]:
    """Its flat config without the seed; ``auto`` is what it found."""
    config = {name: value for name, value in flat(run.config).items() if name != SEED}
    if config.get("accelerator") == AUTO:
        config["accelerator"] = accelerator_of(run)
    return config


def _job(run: RunFacts) -> tuple[Any, ...]:
    swept = sorted(item for item in run.swept.items() if item[0] != SEED)
    return (run.sweep, run.variant, tuple(swept))


def drawn(
    groups: Sequence[Group],
    value: Callable[[Group], float | None],
    limit: int,
    words: tuple[str, str],
) -> tuple[list[Group], list[str]]:
    """At most ``limit`` groups, in their order, of those with a value; a sentence if not all are.

    Where there are more: three quarters of the limit are those of least value, the rest those of
    the largest. ``words`` name the two, e.g. "best test error" and "worst".
    """
    told = [(value(group), number) for number, group in enumerate(groups)]
    ranked = sorted((one, number) for one, number in told if one is not None)
    if len(ranked) <= limit:
        return [groups[number] for number in sorted(n for _, n in ranked)], []
    worst = limit // 4
    chosen = sorted(number for _, number in [*ranked[: limit - worst], *ranked[-worst:]])
    sentence = (
        f"{limit} of {len(ranked):,} groups are drawn: the {limit - worst} with the {words[0]} and "
        f"the {worst} with the {words[1]}."
    )
    return [groups[number] for number in chosen], [sentence]


def several_of(groups: Iterable[Group], keys: Callable[[RunFacts], Iterable[str]]) -> list[Group]:
    """Groups whose measured runs, or the parts of one, are not alike in ``keys``."""
    return [g for g in groups if len({key for run in g.measured for key in keys(run)}) > 1]
