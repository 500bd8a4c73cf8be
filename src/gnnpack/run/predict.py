"""Totals for molecules from a structure file, with a checkpoint alone."""

from __future__ import annotations

import csv
import logging
from pathlib import Path
from typing import Any, Mapping

import numpy as np
import torch
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

    Columns: frame (from 0), formula, num_atoms, the target's name and unit (a total: references
    added back in float64), and a note where there is no value because an element is unknown.

    Returns:
        Molecules predicted.

    Raises:
        ValueError: what `load_checkpoint` and `read_structures` refuse.
        OSError: ``output`` cannot be written.
    """
    module, record, _ = restore_module(checkpoint)
    molecules = read_structures(str(structures))
    new = _new_elements(molecules, record)
    references = np.asarray(record["references"])
    atoms = np.add.reduceat(references[molecules.z], molecules.offsets[:-1])
    totals = predict_residuals(module, molecules, int(record["pack_atoms"])) + atoms
    column = f"{record['target']} ({record['unit']})"
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["frame", "formula", "num_atoms", column, "note"])
        for m, total in enumerate(totals):
            z = molecules.z[molecules.offsets[m] : molecules.offsets[m + 1]]
            note = f"not trained on {new[m]}" if m in new else ""
            value = "" if note else repr(float(total))
            writer.writerow([m, formula(z), len(z), value, note])
    return len(totals)


def formula(z: NDArray[Any]) -> str:
    """Atomic numbers as a formula in the order of Hill: C, H, then the alphabet.

    >>> formula(np.array([8, 1, 6, 1, 1, 1]))
    'CH4O'
    """
    # Imported where it is used: who imports this module need not wait for ASE.
    from ase.symbols import Symbols

    return str(Symbols(np.asarray(z, dtype=int)).get_chemical_formula())


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


def _new_elements(molecules: Molecules, record: Mapping[str, Any]) -> dict[int, str]:
    """Frame -> the elements in it that the model has never seen; they are told, too."""
    from ase.data import chemical_symbols

    known = np.asarray(record["elements"])
    frames: dict[int, str] = {}
    for m in range(molecules.num_molecules):
        z = molecules.z[molecules.offsets[m] : molecules.offsets[m + 1]]
        unseen = np.setdiff1d(z, known)
        if len(unseen):
            frames[m] = ", ".join(chemical_symbols[number] for number in unseen)
    for m, names in list(frames.items())[:5]:
        log.warning("Frame %d: the model was not trained on %s; no value is written.", m, names)
    if len(frames) > 5:
        log.warning("... and %d more frames; the column note has them all.", len(frames) - 5)
    return frames
