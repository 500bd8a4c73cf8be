"""Runs that differ in one question alone, and what can be said of their differences."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Callable, Hashable, Mapping, Sequence, Tuple

from gnnpack.experiments.accelerator_of import AUTO, accelerator_of
from gnnpack.experiments.comparison_names import names_of
from gnnpack.experiments.content_key import what_counts
from gnnpack.experiments.report_numbers import Spread, finite, spread
from gnnpack.tracking.error_unit import error_unit

if TYPE_CHECKING:
    from pathlib import Path

    from gnnpack.experiments.run_folder import RunFacts

Seeds = Tuple[str, str]
"""Of a run and of its split: what two runs of a pair share."""


@dataclass(eq=False)
class Answer:
    """Runs of one answer to the question, and of several seeds."""

    value: Any
    runs: list[RunFacts] = field(default_factory=list)

    @property
    def counted(self) -> dict[Seeds, RunFacts]:
        """Seeds -> the first run with them, of those with a test error if there are any."""
        found: dict[Seeds, RunFacts] = {}
        for run in sorted(self.runs, key=lambda run: error_of(run) is None):
            found.setdefault((seed_of(run), split_seed_of(run)), run)
        return found

    @property
    def folders(self) -> list[Path]:
        """Of the runs that count."""
        return [run.folder for run in self.counted.values()]

    @property
    def rate(self) -> Spread | None:
        """Training molecules/s over the seeds; None where none was measured."""
        return spread(rate_of(run) for run in self.counted.values())

    def errors(self) -> dict[Seeds, float]:
        """Seeds -> test error, in the unit it is shown in."""
        errors = {seeds: error_of(run) for seeds, run in self.counted.items()}
        return {seeds: error for seeds, error in errors.items() if error is not None}


@dataclass(eq=False)
class Comparison:
    """Answers of runs that share all other settings.

    Args:
        name: what tells it from the report's other comparisons; "" if it is the only one.
    """

    name: str
    answers: list[Answer]

    @property
    def unit(self) -> str:
        """Of errors, as shown."""
        for answer in self.answers:
            for run in answer.runs:
                if run.summary.get("unit"):
                    return error_unit(str(run.summary["unit"]))[1]
        return ""

    def answer(self, value: Any) -> Answer | None:
        """The one of this value."""
        return next((one for one in self.answers if one.value == value), None)

    def beginning_with(self, base: Answer | None) -> list[Answer]:
        """The answers in order, but for ``base``, which is first."""
        return sorted(self.answers, key=lambda answer: answer is not base)

    @property
    def prefix(self) -> str:
        """Its name before a label."""
        return f"{self.name}: " if self.name else ""


def comparisons(
    runs: Sequence[RunFacts],
    varied: Sequence[str],
    value: Callable[[RunFacts], Hashable | None],
    *,
    least: int = 2,
) -> list[Comparison]:
    """Runs that ended and share every setting but ``varied`` and the seed, by their ``value``.

    Only those with at least ``least`` values, which come in their natural order.

    Args:
        varied: dotted names of settings; all below them may differ as well.
        value: the answer a run gives; None: it takes no part.
    """
    shared: dict[str, list[tuple[Any, RunFacts]]] = {}
    for run in runs:
        if not run.summary or not run.config:
            continue
        answer = value(run)
        if answer is not None:
            shared.setdefault(_rest(run, varied), []).append((answer, run))
    found = []
    for members in shared.values():
        answers: dict[Any, Answer] = {}
        for answer, run in members:
            answers.setdefault(answer, Answer(answer)).runs.append(run)
        if len(answers) >= least:
            ordered = sorted(answers.values(), key=lambda one: one.value)
            found.append(Comparison("", ordered))
    names = names_of([one.answers[0].runs[0] for one in found], varied)
    return [replace(one, name=name) for one, name in zip(found, names)]


def at_most(found: list[Comparison], most: int = 12) -> tuple[list[Comparison], list[str]]:
    """The ``most`` comparisons of most runs, in their order; a sentence if others are left out."""
    if len(found) <= most:
        return found, []
    ranked = sorted(range(len(found)), key=lambda i: -sum(len(a.runs) for a in found[i].answers))
    chosen = sorted(ranked[:most])
    said = f"Shown are the {most} of {len(found):,} sets of comparable runs that have most runs."
    return [found[i] for i in chosen], [said]


def _rest(run: RunFacts, varied: Sequence[str]) -> str:
    kept = what_counts(run.config)
    if str(kept.get("accelerator", {}).get("_target_")).endswith(f".{AUTO}"):
        kept["accelerator"][AUTO] = accelerator_of(run)
    for path in ("seed", *varied):
        *parents, last = path.split(".")
        node: Any = kept
        for name in parents:
            node = node.get(name) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node.pop(last, None)
    return json.dumps(kept, sort_keys=True)


def seed_of(run: RunFacts) -> str:
    """A run's seed, as text."""
    return str(run.config.get("seed", run.swept.get("seed", "")))


def split_seed_of(run: RunFacts) -> str:
    """The seed by which a run's molecules were chosen, as text; "" if there is none."""
    dataset = run.config.get("dataset")
    split = dataset.get("split") if isinstance(dataset, Mapping) else None
    return str(split.get("seed", "")) if isinstance(split, Mapping) else ""


def rate_of(run: RunFacts) -> float | None:
    """Training molecules/s: the median over windows, else over all; None of an emulated run."""
    if run.summary.get("emulated"):
        return None
    for key in ("molecules_per_second_median", "train_molecules_per_second"):
        found = finite(run.summary.get(key))
        if found is not None and found > 0:
            return found
    return None


def error_of(run: RunFacts) -> float | None:
    """Test error in the unit it is shown in; runs that did not learn have one as well."""
    error = finite(run.summary.get("test_mae"))
    return None if error is None else error * error_unit(str(run.summary.get("unit", "")))[0]


def paired(one: Answer, other: Answer) -> Spread | None:
    """Errors of ``one`` less those of ``other``, seed by seed; None without a common seed."""
    mine, theirs = one.errors(), other.errors()
    return spread(mine[seeds] - theirs[seeds] for seeds in mine if seeds in theirs)
