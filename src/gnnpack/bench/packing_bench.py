"""The figures of packing that need no accelerator: sizes, fill, slots, neighbours."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any, Mapping, Sequence

import numpy as np

from gnnpack.bench.packers_report import results_folder
from gnnpack.bench.packing_figure import packing_figure
from gnnpack.bench.packing_settings import PackingSettings
from gnnpack.bench.packing_sparsity import Positions, neighbour_section
from gnnpack.bench.packing_tables import (
    efficiency_curves,
    molecule_sizes,
    padding_and_packing,
    published_points,
)
from gnnpack.bench.pair_limits import open_qm9
from gnnpack.bench.report import make_report, write_report
from gnnpack.datasets import MissingSource
from gnnpack.datasets.size_counts import TITLES
from gnnpack.datasets.water_clusters import WaterClusters

log = logging.getLogger(__name__)

NOTES = (
    "The figures of arXiv 2211.13853 that need no accelerator. time: of finding a row's figures, "
    "once; nothing is timed in turns here.",
)
NO_QM9 = "QM9 is not on this machine, so no neighbours were counted; `pip install 'gnnpack[qm9]'`."
# Subsets of made clusters, by the distribution whose sizes they have.
SUBSETS = {"hydronet_500k": "small", "hydronet_2.7m": "medium", "hydronet_4.5m": "large"}
SEED = 0


def packing(settings: PackingSettings, argv: Sequence[str]) -> dict[str, Any]:
    """Work out every figure and return the report, see `make_report`; argv for the record."""
    names, notes = settings.distributions, [*NOTES]
    sections = [molecule_sizes(names), published_points(names)]
    log.info("curves over pack sizes ...")
    sections += [efficiency_curves(names, settings.sweep_to), padding_and_packing(names)]
    log.info("neighbours ...")
    molecules = _positions(settings, notes)
    if molecules:
        sections.append(neighbour_section(molecules, settings.cutoff))
    return make_report(
        "packing",
        sections,
        settings={**asdict(settings), "distributions": ",".join(names)},
        data={"size_counts": "published with the code of arXiv 2211.13853"},
        seed=SEED,
        notes=notes,
        argv=argv,
    )


def write_packing_report(report: Mapping[str, Any], folder: Path, results: str = "") -> list[Path]:
    """bench.json, .md and .png in `folder`, and a dated copy in `results`; the Markdown files.

    OSError with the cure when the disk refuses.
    """
    places = [(folder, "bench")]
    if results:
        places.append((results_folder(results), f"{report['started'][:10]}_packing"))
    for place, name in places:
        packing_figure(report, place / f"{name}.png")
        write_report(report, place, name, figure=f"{name}.png")
    return [place / f"{name}.md" for place, name in places]


def _positions(settings: PackingSettings, notes: list[str]) -> dict[str, Positions]:
    found = {}
    if "qm9" in settings.distributions:
        try:
            store = open_qm9(settings.data_dir)
        except MissingSource:
            notes.append(NO_QM9)
        else:
            source = f"{store.source_label}, {store.fingerprint}"
            found["QM9"] = Positions(store.pos, store.offsets, source)
    for name in settings.distributions:
        if name in SUBSETS:
            made = WaterClusters(settings.num_clusters, subset=SUBSETS[name], seed=SEED)
            clusters = made.clusters(np.arange(settings.num_clusters))
            # Short: the name of a row.
            title = f"made clusters, {TITLES[name].split()[-1]}"
            found[title] = Positions(clusters.pos, clusters.offsets, made.source_label)
    return found
