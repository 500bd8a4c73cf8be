"""The benchmark of packers: packs, bound, time and memory of each, side by side in one run."""

from __future__ import annotations

import logging
from dataclasses import asdict
from functools import partial
from typing import Any, Sequence

import numpy as np

from gnnpack.bench.packer_list import Molecules
from gnnpack.bench.packer_problem import Problem, memory_job
from gnnpack.bench.packer_rows import measure_packers
from gnnpack.bench.packers_settings import PackersSettings
from gnnpack.bench.pair_limits import open_qm9, pair_limit_problems
from gnnpack.bench.peak_memory import METHOD, peak_memory
from gnnpack.bench.report import make_report
from gnnpack.bench.section import Section
from gnnpack.bench.sweep import measure_sweep
from gnnpack.datasets import MissingSource
from gnnpack.datasets.size_counts import TITLES, shuffled_sizes
from gnnpack.packing import PackShape

log = logging.getLogger(__name__)

NOTES = (
    "time: one plan from the sizes, the median. first epoch: a plan and its first epoch. later "
    "epoch: plan.epoch alone.",
    "bound: packs that any plan needs, proven. percent: real atoms over atom slots; pair percent "
    "the same for pairs. Size correlation: of two molecules of one pack, 0 as if drawn at random.",
    "PyG loop, jraph loop: what DynamicBatchSampler(mode='node', shuffle=True, skip_too_big=True) "
    "and dynamically_batch do, in Python, on the first molecules of the table: as many as the row "
    "says. Sizes are looked up, not loaded from samples. They do it again every epoch; percent is "
    "over batches of the pack's size. Do not read their times as times of all molecules.",
)
NO_QM9 = (
    "QM9 is not on this machine, so there are no tables with a pair limit; "
    "`pip install 'gnnpack[qm9]'` brings it."
)
NO_MEMORY = "Memory was not measured: only Linux tells how high it rose."


def packers(settings: PackersSettings, argv: Sequence[str]) -> dict[str, Any]:
    """Measure on one core and return the report, see `make_report`; argv for the record."""
    problems = size_problems(settings)
    notes = list(NOTES)
    data: dict[str, Any] = {"size_counts": "published with the code of arXiv 2211.13853"}
    if "qm9" in settings.distributions:
        try:
            store = open_qm9(settings.data_dir)
        except MissingSource:
            notes.append(NO_QM9)
            log.info(NO_QM9)
        else:
            data["qm9_pairs"] = f"{store.source_label}, {store.fingerprint}"
            problems += pair_limit_problems(store, settings)
    sections = [_sweep(settings), *_measure(problems, settings, notes)]
    return make_report(
        "packers",
        sections,
        settings=as_typed(settings),
        data=data,
        seed=settings.seed,
        notes=notes,
        argv=argv,
    )


def as_typed(settings: PackersSettings) -> dict[str, Any]:
    """The settings as the command takes them: a list is text with commas."""
    return {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else value
        for name, value in asdict(settings).items()
    }


def size_problems(settings: PackersSettings) -> list[Problem]:
    """A problem for each distribution and pack size."""
    return [
        Problem(
            f"{name}_{size}",
            f"{TITLES[name]}, packs of {size} atoms",
            partial(load_sizes, name, settings.num_molecules, settings.seed),
            PackShape(size),
            own_sizes=place == 0,
        )
        for name in settings.distributions
        for place, size in enumerate(settings.pack_sizes(name))
    ]


def load_sizes(distribution: str, num_molecules: int | None, seed: int) -> Molecules:
    """The molecules of a distribution, or the first of them, in an order drawn by seed."""
    return Molecules(shuffled_sizes(distribution, seed)[:num_molecules])


def _sweep(settings: PackersSettings) -> Section:
    log.info("sweep over pack sizes ...")
    num_atoms = {
        name: load_sizes(name, settings.num_molecules, settings.seed).num_atoms
        for name in settings.distributions
    }
    return measure_sweep(num_atoms, settings.sweep_to)


def _measure(
    problems: Sequence[Problem], settings: PackersSettings, notes: list[str]
) -> list[Section]:
    log.info("memory ...")
    peaks = peak_memory([memory_job(one, one.load()) for one in problems])
    notes.append(NO_MEMORY if peaks is None else METHOD)
    sections = []
    for place, problem in enumerate(problems):
        log.info("%d of %d: %s ...", place + 1, len(problems), problem.title)
        molecules = problem.load()
        sections.append(
            measure_packers(
                problem,
                molecules,
                settings.repeats,
                settings.seed,
                None if peaks is None else peaks[place],
                _describe(molecules),
            )
        )
    return sections


def _describe(molecules: Molecules) -> str:
    atoms = int(molecules.num_atoms.sum(dtype=np.int64))
    words = f"{len(molecules.num_atoms):,} molecules, {atoms:,} atoms"
    if molecules.num_pairs is None:
        return f"{words}."
    return f"{words}, {int(molecules.num_pairs.sum(dtype=np.int64)):,} undirected pairs."
