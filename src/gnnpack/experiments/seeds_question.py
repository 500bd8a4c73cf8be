"""How far apart are runs that differ in nothing but the seed?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Sequence

from gnnpack.experiments.comparison import comparisons, error_of, rate_of, seed_of
from gnnpack.experiments.report_numbers import count, shown, spread
from gnnpack.experiments.report_section import Section, Table
from gnnpack.experiments.seed_statistics import student_t

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts

LEAST_SEEDS = 3


def seeds_question(runs: Sequence[RunFacts]) -> Section | None:
    """One config and three seeds or more: the spread, and what it hides. None for other runs."""
    found = comparisons(runs, (), lambda run: 0, least=1)
    if len(found) != 1:
        return None
    one, answer = found[0], found[0].answers[0]
    errors = spread(answer.errors().values())
    if errors is None or errors.deviation is None or errors.n < LEAST_SEEDS:
        return None
    hidden = student_t(2 * (errors.n - 1)) * errors.deviation * math.sqrt(2 / errors.n)
    ordered = sorted(answer.runs, key=lambda run: (len(seed_of(run)), seed_of(run)))
    rows = [
        [seed_of(run), shown(error_of(run)), count(rate_of(run))]
        for run in ordered
        if error_of(run) is not None
    ]
    folders = [[run.folder] for run in ordered if error_of(run) is not None]
    sentences = [
        f"Over {errors.n} seeds the test MAE is {shown(errors.mean)} {one.unit} with a standard "
        f"deviation of {shown(errors.deviation, 2)}; from {shown(errors.least)} to "
        f"{shown(errors.most)}.",
        f"Two configs with {errors.n} seeds each must differ by about {shown(hidden, 2)} "
        f"{one.unit} before seeds of such a spread no longer explain it (95 %, Student's t, "
        "unpaired).",
    ]
    return Section(
        "Seeds",
        sentences,
        Table(("seed", f"test MAE ({one.unit})", "molecules/s"), rows, folders),
    )
