"""The overview: from the machine's rates to whole training runs, beside PyG and plain torch."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any, Callable, Sequence

import torch

from gnnpack.accelerators.host_memory import keep_freed_memory
from gnnpack.bench.batches import measure_batches
from gnnpack.bench.beside_pyg import ABSENT, import_pyg
from gnnpack.bench.beside_schnetpack import schnetpack_absence
from gnnpack.bench.convolutions import measure_convolution
from gnnpack.bench.data import Batch, BenchData, draw_batch, shapes
from gnnpack.bench.filter_error import measure_filter_error
from gnnpack.bench.input_pipeline import measure_input
from gnnpack.bench.metering import measure_metering
from gnnpack.bench.neighbours import measure_neighbours
from gnnpack.bench.plans import measure_plans
from gnnpack.bench.published import published_figures
from gnnpack.bench.report import make_report
from gnnpack.bench.roofline import Roof, measure_machine
from gnnpack.bench.section import Section
from gnnpack.bench.settings import OverviewSettings
from gnnpack.bench.step_parts import measure_parts
from gnnpack.bench.steps import Others, measure_steps
from gnnpack.bench.stores import measure_store
from gnnpack.bench.training_runs import measure_runs
from gnnpack.tracking import data_line

log = logging.getLogger(__name__)

FEW_UPDATES = (
    "An epoch of batch {size} has one update only, so there is no whole training run of it."
)


def overview(data: BenchData, settings: OverviewSettings, argv: Sequence[str]) -> dict[str, Any]:
    """Measure on the CPU and return the report, see `make_report`.

    Args:
        data: what `open_data` made of the same settings.
        argv: the command line, for the record.

    Raises:
        ValueError: the rows of a table do not compute the same; a training run failed.
    """
    _announce(data)
    drawn = [draw_batch(data, size, settings.seed) for size in settings.batch_size]
    pyg, no_schnetpack = import_pyg(), schnetpack_absence()
    notes = [*data.notes, *dict.fromkeys(note for _, few in drawn for note in few)]
    notes += [ABSENT] if pyg is None else []
    notes += [] if no_schnetpack is None else [no_schnetpack]
    for note in notes:
        log.info(note)
    others = Others(pyg, no_schnetpack is None)
    sections, said = _measure(data, [batch for batch, _ in drawn], others, settings)
    return {
        **make_report(
            "overview",
            sections,
            settings={
                **as_typed(settings),
                "dataset": data.dataset.name,
                "num_molecules": data.store.num_molecules,
                "threads": torch.get_num_threads(),
            },
            data=data.fingerprint,
            seed=settings.seed,
            notes=[*notes, *said, *_not_learning(sections)],
            argv=argv,
        ),
        "published": published_figures(),
    }


def as_typed(settings: OverviewSettings) -> dict[str, Any]:
    """The settings as the command takes them: a list is text with commas."""
    return {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else value
        for name, value in asdict(settings).items()
    }


def _measure(
    data: BenchData, batches: Sequence[Batch], others: Others, settings: OverviewSettings
) -> tuple[list[Section], list[str]]:
    """The sections asked for, and what is to be said of those left out."""
    pyg, repeats, first = others.pyg, settings.repeats, batches[0]
    atoms = [int(batch.source.num_atoms.sum()) for batch in batches]
    # Always measured: percent of floor needs it.
    log.info("measuring %d times in turns: machine ...", repeats)
    machine, roof = measure_machine(atoms, settings.hidden_channels, repeats)
    size = settings.batch_size[0]
    # Batches that the training split cuts to one size are one table.
    by_size: dict[int, Batch] = {}
    for batch in batches:
        by_size.setdefault(len(batch.source.rows), batch)
    different = list(by_size.values())
    # As a run has it: both for our rows and for those of others.
    keep_freed_memory()
    measures: dict[str, Callable[[], Sequence[Section]]] = {
        "store": lambda: [measure_store(data, first, repeats)],
        "plan": lambda: [measure_plans(data.train.num_atoms, *shapes(data), repeats)],
        "batch": lambda: [measure_batches(first, pyg, repeats)],
        "input": lambda: [measure_input(data, pyg, size, settings.seed, repeats)],
        "neighbours": lambda: [measure_neighbours(first, settings.cutoff, repeats)],
        "filter_error": lambda: [measure_filter_error(data, first, settings)],
        "convolution": lambda: measure_convolution(data, first, settings),
        "step_parts": lambda: [measure_parts(data, batch, settings) for batch in different],
        "train_step": lambda: _steps(data, different, others, roof, settings),
        "metering": lambda: [measure_metering(data, size, settings)],
    }
    sections, notes = [machine], []
    for name, measure in measures.items():
        if name in settings.sections:
            log.info("%s ...", name)
            sections += measure()
    if "train_run" in settings.sections:
        for size in settings.batch_size:
            log.info("training runs of batch %d ...", size)
            section = measure_runs(data, pyg, size, settings)
            if section is None:
                notes.append(FEW_UPDATES.format(size=size))
            else:
                sections.append(section)
    return sections, notes


def _steps(
    data: BenchData,
    batches: Sequence[Batch],
    others: Others,
    roof: Roof,
    settings: OverviewSettings,
) -> list[Section]:
    found = []
    for batch in batches:
        log.info("training steps of %d molecules ...", len(batch.source.rows))
        found.append(measure_steps(data, batch, others, roof, settings))
    return found


def _announce(data: BenchData) -> None:
    store = data.store
    line = data_line(
        data.dataset.name,
        num_molecules=store.num_molecules,
        num_atoms=store.total_atoms,
        source=store.source_label,
        checksum=store.fingerprint,
    )
    log.info(line)


def _not_learning(sections: Sequence[Section]) -> list[str]:
    return [
        f"The loss of the row {row.name} of {section.name} did not fall over its "
        f"{row.facts['updates']} updates: do not trust this run's training steps. Use more repeats "
        "or larger batches."
        for section in sections
        for row in section.rows
        if not row.facts.get("loss_falls", True)
    ]
