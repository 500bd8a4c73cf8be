"""QM9's targets, units and atomic references, and how a table of published values becomes ours.

Source: R. Ramakrishnan et al., Scientific Data 1, 140022 (2014), figshare collection 978904.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Sequence

import numpy as np

from gnnpack.datasets.molecules import Molecules, TargetInfo
from gnnpack.units import HARTREE_TO_EV

if TYPE_CHECKING:
    from numpy.typing import NDArray

TARGETS = {
    # Published order, which the archive and qm9pack share. Extensive targets sum over atoms;
    # mu and the orbital energies do not grow with the molecule, so their readout is the mean
    # (as in SchNet's own QM9 models). r2 grows faster than the molecule, but summing is usual.
    "mu": TargetInfo("D", "mean"),
    "alpha": TargetInfo("a0^3", "sum"),
    "homo": TargetInfo("eV", "mean"),
    "lumo": TargetInfo("eV", "mean"),
    "gap": TargetInfo("eV", "mean"),
    "r2": TargetInfo("a0^2", "sum"),
    "zpve": TargetInfo("eV", "sum"),
    "U0": TargetInfo("eV", "sum"),
    "U": TargetInfo("eV", "sum"),
    "H": TargetInfo("eV", "sum"),
    "G": TargetInfo("eV", "sum"),
    "cv": TargetInfo("cal/(mol K)", "sum"),
}
ATOMIC_NUMBERS = {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}

# atomref.txt (figshare file 3195395): H, C, N, O, F; Hartree, cv in cal/(mol K). An atom has no
# zero-point energy, so zpve has no entry.
_ATOMREF = {
    "U0": (-0.500273, -37.846772, -54.583861, -75.064579, -99.718730),
    "U": (-0.498857, -37.845355, -54.582445, -75.063163, -99.717314),
    "H": (-0.497912, -37.844411, -54.581501, -75.062219, -99.716370),
    "G": (-0.510927, -37.861317, -54.598897, -75.079532, -99.733544),
    "cv": (2.981, 2.981, 2.981, 2.981, 2.981),
}
_FACTORS = np.array(
    [HARTREE_TO_EV if info.unit == "eV" else 1.0 for info in TARGETS.values()], dtype=np.float64
)
_FACTOR_OF = dict(zip(TARGETS, _FACTORS.tolist()))
REFERENCE_ENERGIES = {
    target: dict(zip(ATOMIC_NUMBERS.values(), (value * _FACTOR_OF[target] for value in values)))
    for target, values in _ATOMREF.items()
}


class Record(NamedTuple):
    """One molecule as published: id, n element symbols, 3n coordinates in Å, the 12 values."""

    id: int
    elements: Sequence[str]
    coordinates: Sequence[str]
    values: Sequence[str]


def to_molecules(records: Sequence[Record]) -> Molecules:
    """Convert published text into `Molecules` in our units; ValueError for text no number."""
    for record in records:
        if len(record.coordinates) != 3 * len(record.elements):
            raise ValueError(
                f"QM9 molecule {record.id} has {len(record.elements)} atoms but "
                f"{len(record.coordinates)} coordinates; its raw file is damaged. Fetch it again."
            )
    sizes = [len(record.elements) for record in records]
    values = _numbers(records, "values").reshape(len(records), len(TARGETS)) * _FACTORS
    return Molecules(
        z=_atomic_numbers(records),
        pos=_numbers(records, "coordinates").reshape(-1, 3).astype(np.float32),
        offsets=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        ids=np.array([record.id for record in records], dtype=np.int64),
        targets={name: np.ascontiguousarray(values[:, k]) for k, name in enumerate(TARGETS)},
    )


def _numbers(records: Sequence[Record], field: str) -> NDArray[np.float64]:
    texts = [text for record in records for text in getattr(record, field)]
    try:
        return np.array([float(text) for text in texts], dtype=np.float64)
    except ValueError:
        for record in records:
            for text in getattr(record, field):
                _refuse_text(record.id, field, text)
        raise


def _refuse_text(molecule: int, field: str, text: str) -> None:
    try:
        float(text)
    except ValueError:
        raise ValueError(
            f"QM9 molecule {molecule} has {text!r} among its {field}, which is no number; "
            "its raw file is damaged. Fetch it again."
        ) from None


def _atomic_numbers(records: Sequence[Record]) -> NDArray[np.uint8]:
    try:
        numbers = [ATOMIC_NUMBERS[symbol] for record in records for symbol in record.elements]
    except KeyError as error:
        bad = next(r.id for r in records if not set(r.elements) <= set(ATOMIC_NUMBERS))
        raise ValueError(
            f"QM9 molecule {bad} has the element {error}, but QM9 knows only "
            f"{', '.join(ATOMIC_NUMBERS)}; its raw file is damaged. Fetch it again."
        ) from None
    return np.array(numbers, dtype=np.uint8)
