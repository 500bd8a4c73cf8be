"""Totals for molecules from a structure file, with a checkpoint alone."""

from __future__ import annotations

import csv
import logging
from pathlib import Path
from typing import Any, Mapping

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray

from gnnpack.batching import PackLoader, PackSource
from gnnpack.datasets import Molecules, read_structures
from gnnpack.objective import real_values
from gnnpack.packing import PackShape, lpfhp
from gnnpack.run.evaluate import restore_module

log = logging.getLogger(__name__)

# Packs a forward pass; bounds memory, changes no result.
PACKS_PER_STEP = 32


def predict_file(checkpoint: Path, structures: Path, output: Path) -> int:
    """Predict every molecule of ``structures`` and write one CSV row each.

    Columns: frame (from 0), num_atoms, and the target's name and unit, references added back in
    float64.

    Returns:
        Molecules predicted.

    Raises:
        ValueError: what `load_checkpoint` and `read_structures` refuse.
        OSError: ``output`` cannot be written.
    """
    module, record, _ = restore_module(checkpoint)
    molecules = read_structures(str(structures))
    _warn_of_new_elements(molecules, record)
    references = np.asarray(record["references"])
    atoms = np.add.reduceat(references[molecules.z], molecules.offsets[:-1])
    totals = predict_residuals(module, molecules, int(record["pack_atoms"])) + atoms
    column = f"{record['target']} ({record['unit']})"
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["frame", "num_atoms", column])
        for frame, size, total in zip(molecules.ids, molecules.num_atoms, totals):
            writer.writerow([int(frame), int(size), repr(float(total))])
    return len(totals)


@torch.no_grad()
def predict_residuals(
    module: torch.nn.Module, molecules: Molecules, pack_atoms: int
) -> NDArray[np.float64]:
    """Predictions less reference energies, (M,) float64, in the order of the molecules."""
    source = PackSource(
        molecules.z,
        molecules.pos,
        molecules.offsets,
        None,
        np.arange(molecules.num_molecules, dtype=np.int64),
    )
    # A molecule larger than the packs of the training still fits: the model knows no pack size.
    shape = PackShape(max(pack_atoms, int(source.num_atoms.max())))
    plan = lpfhp(source.num_atoms, shape)
    loader = PackLoader(source, plan, packs_per_update=min(PACKS_PER_STEP, plan.num_packs))
    found = torch.cat([real_values(module(batch), batch)[0] for batch in loader])
    predictions = np.empty(molecules.num_molecules)
    predictions[plan.molecules] = found.double().numpy()
    return predictions


def _warn_of_new_elements(molecules: Molecules, record: Mapping[str, Any]) -> None:
    new = sorted(set(np.unique(molecules.z).tolist()) - set(record["elements"]))
    if new:
        names = ", ".join(chemical_symbols[z] for z in new)
        log.warning(
            "The model was not trained on %s: predictions for molecules with it mean nothing.",
            names,
        )
