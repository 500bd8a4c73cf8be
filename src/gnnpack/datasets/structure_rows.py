"""From a frame to a checked molecule in our units, and from many of these to `Molecules`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Mapping, NamedTuple, Sequence

import numpy as np

from gnnpack.datasets.molecules import Molecules
from gnnpack.datasets.structure_copies import fingerprint
from gnnpack.datasets.structure_frames import FrameFault, check_frame, scalar, vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gnnpack.datasets.structure_formats import Format
    from gnnpack.datasets.structure_frames import Frame
    from gnnpack.datasets.structure_targets import Wanted, WantedForces


class Recipe(NamedTuple):
    """What becomes of a frame.

    ``length``: Å in one of the file's unit. ``elements``: atomic numbers with a reference energy;
    None: any will do. ``skip_bad``, ``copies``: see `Structures`.
    """

    format: Format
    targets: Mapping[str, Wanted]
    forces: WantedForces | None
    length: float
    elements: frozenset[int] | None
    skip_bad: bool
    copies: str


class Row(NamedTuple):
    """A checked molecule in our units, and where it came from."""

    id: int
    where: str
    z: NDArray[np.uint8]
    pos: NDArray[np.float32]
    values: tuple[float, ...]
    forces: NDArray[np.float32] | None
    print: int


class RowMaker:
    """Applies a recipe; all its rows have forces, or none has."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._with_forces: bool | None = None

    def row(self, frame: Frame, identity: int, where: str) -> Row | None:
        """None for a molecule whose values were not computed.

        FrameFault for a frame that cannot be used; ValueError for an element without a reference.
        """
        recipe = self._recipe
        check_frame(frame)
        if recipe.format.nan_is_absent and self._absent(frame):
            return None
        z = frame.numbers.astype(np.uint8)
        self._check_elements(z, where)
        pos = vectors("positions", frame.positions, recipe.length, len(z))
        values = tuple(
            scalar(target.key, frame.values) * target.unit.factor
            for target in recipe.targets.values()
        )
        forces = self._forces(frame)
        self._with_forces = forces is not None
        mark = fingerprint(frame.numbers, frame.positions * recipe.length)
        return Row(identity, where, z, pos, values, forces, mark)

    def _check_elements(self, z: NDArray[np.uint8], where: str) -> None:
        known = self._recipe.elements
        missing = [] if known is None else sorted(set(z.tolist()) - known)
        if missing:
            # No fault of the frame, so nothing to skip.
            raise ValueError(
                f"{where}: it has the element of atomic number {missing[0]}, which "
                "dataset.reference_energies lacks; add it, or choose dataset.references=fitted."
            )

    def _forces(self, frame: Frame) -> NDArray[np.float32] | None:
        wanted = self._recipe.forces
        if wanted is None:
            return None
        found = frame.arrays.get(wanted.key)
        if found is None and not wanted.needed and not self._with_forces:
            return None
        # A store has forces of all molecules or of none.
        cure = "dataset.forces=null reads no forces."
        if found is None:
            raise FrameFault(f"it has no {wanted.key!r}; {cure}")
        if self._with_forces is False:
            raise FrameFault(f"it has {wanted.key!r}, but those before it have none; {cure}")
        return vectors(wanted.key, found, wanted.factor, len(frame.numbers))

    def _absent(self, frame: Frame) -> bool:
        numbers: list[Any] = [
            frame.values.get(target.key) for target in self._recipe.targets.values()
        ]
        wanted = self._recipe.forces
        if wanted is not None and wanted.key in frame.arrays:
            numbers.append(np.sum(frame.arrays[wanted.key]))
        return any(np.size(n) == 1 and math.isnan(float(np.ravel(n)[0])) for n in numbers)


def to_molecules(rows: Sequence[Row], targets: Sequence[str]) -> Molecules:
    """All rows, of which there is at least one, with their values under these names."""
    values = np.array([row.values for row in rows], dtype=np.float64)
    forces = [row.forces for row in rows if row.forces is not None]
    return Molecules(
        z=np.concatenate([row.z for row in rows]),
        pos=np.concatenate([row.pos for row in rows]),
        offsets=np.concatenate(([0], np.cumsum([len(row.z) for row in rows]))).astype(np.int64),
        ids=np.array([row.id for row in rows], dtype=np.int64),
        targets={
            name: np.ascontiguousarray(values[:, column]) for column, name in enumerate(targets)
        },
        forces=np.concatenate(forces) if forces else None,
    )
