"""The overview: store, plans, batch and training step in one run, beside PyG's."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any, Sequence

import torch

from gnnpack.batching import PackSource
from gnnpack.bench.batches import measure_batches
from gnnpack.bench.beside_pyg import ABSENT, PyG, import_pyg
from gnnpack.bench.data import BenchData, batch_source
from gnnpack.bench.plans import measure_plans, shapes
from gnnpack.bench.report import make_report
from gnnpack.bench.section import Row, Section
from gnnpack.bench.settings import OverviewSettings
from gnnpack.bench.steps import measure_steps
from gnnpack.bench.stores import measure_store
from gnnpack.packing import lpfhp, one_per_pack
from gnnpack.tracking import data_line

log = logging.getLogger(__name__)


def overview(data: BenchData, settings: OverviewSettings, argv: Sequence[str]) -> dict[str, Any]:
    """Measure on the CPU and return the report, see `make_report`.

    Args:
        data: what `open_data` made of the same settings.
        argv: the command line, for the record.

    Raises:
        ValueError: the rows do not compute the same function.
    """
    _announce(data)
    pyg = import_pyg()
    source, few = batch_source(data, settings.batch_size, settings.seed)
    notes = [*data.notes, *few, *([] if pyg is not None else [ABSENT])]
    for note in notes:
        log.info(note)
    sections = _measure(data, source, pyg, settings)
    return make_report(
        "overview",
        sections,
        settings={
            **asdict(settings),
            "dataset": data.dataset.name,
            "num_molecules": data.store.num_molecules,
            "batch_molecules": len(source.rows),
            "threads": torch.get_num_threads(),
        },
        data=data.fingerprint,
        seed=settings.seed,
        notes=[*notes, *_not_learning(sections[-1].rows)],
        argv=argv,
    )


def _measure(
    data: BenchData, source: PackSource, pyg: PyG | None, settings: OverviewSettings
) -> list[Section]:
    sizes, repeats = data.store.num_atoms, settings.repeats
    packed_shape, padded_shape = shapes(sizes)
    packed = lpfhp(source.num_atoms, packed_shape)
    padded = one_per_pack(source.num_atoms, padded_shape)
    log.info("measuring %d times in turns: store ...", repeats)
    sections = [measure_store(data, repeats)]
    log.info("plans ...")
    sections.append(measure_plans(sizes[data.train], packed_shape, padded_shape, repeats))
    log.info("batches ...")
    sections.append(measure_batches(source, packed, padded, pyg, repeats))
    log.info("training steps ...")
    sections.append(measure_steps(data, source, packed, padded, pyg, settings))
    return sections


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


def _not_learning(rows: Sequence[Row]) -> list[str]:
    return [
        f"The loss of the row {row.name} did not fall over its {row.facts['updates']} updates: do "
        "not trust this run's training steps. Use more repeats or larger batches."
        for row in rows
        if not row.facts["loss_falls"]
    ]
