"""`Molecules`: what every reader gives, checked where it is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Mapping, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_ATOMIC_NUMBER = 118


class TargetInfo(NamedTuple):
    """What a target is: its unit, and how atoms make the molecule's value.

    ``readout`` is 'sum' for a quantity that grows with the molecule and 'mean' for one that
    does not.
    """

    unit: str
    readout: str


@dataclass(frozen=True, eq=False)
class Molecules:
    """M molecules of A atoms in all, one after the other.

    z        (A,)    uint8    atomic numbers, 1 to 118
    pos      (A, 3)  float32  Å
    offsets  (M+1,)  int64    molecule m owns atoms offsets[m] to offsets[m+1]-1
    targets  name -> (M,) float64, in the units of the data set's `TargetInfo`
    ids      (M,)    int64    the number the data set itself gives the molecule
    forces   (A, 3)  float32  eV/Å, optional

    Raises ValueError, naming the molecule and the field, for lengths that do not fit, molecules
    without atoms, atomic numbers that do not exist and values that are not finite.
    """

    z: NDArray[np.uint8]
    pos: NDArray[np.float32]
    offsets: NDArray[np.int64]
    ids: NDArray[np.int64]
    targets: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    forces: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        self._check_types()
        self._check_offsets()
        self._check_lengths()
        self._check_values()

    @property
    def num_molecules(self) -> int:
        """Number of molecules, M."""
        return len(self.ids)

    @property
    def num_atoms(self) -> NDArray[np.int64]:
        """Atoms of each molecule, (M,) int64."""
        return np.diff(self.offsets)

    def _check_types(self) -> None:
        wanted = {"z": "uint8", "pos": "float32", "offsets": "int64", "ids": "int64"}
        columns = {name: getattr(self, name) for name in wanted}
        columns.update({f"targets[{name!r}]": values for name, values in self.targets.items()})
        if self.forces is not None:
            columns["forces"] = self.forces
            wanted["forces"] = "float32"
        for name, values in columns.items():
            dtype = wanted.get(name, "float64")
            if values.dtype != dtype:
                raise ValueError(f"{name} is {values.dtype}, but molecules need {dtype}.")

    def _check_offsets(self) -> None:
        offsets, ids = self.offsets, self.ids
        if offsets.ndim != 1 or len(offsets) != len(ids) + 1:
            raise ValueError(
                f"offsets has shape {offsets.shape} but {len(ids)} molecules need "
                f"({len(ids) + 1},): one entry more than there are ids."
            )
        if offsets[0] != 0 or offsets[-1] != len(self.z):
            raise ValueError(
                f"offsets run from {offsets[0]} to {offsets[-1]}, but must run from 0 to the "
                f"number of atoms, {len(self.z)}."
            )
        empty = np.flatnonzero(np.diff(offsets) <= 0)
        if len(empty):
            raise ValueError(
                f"Molecule {ids[empty[0]]} has no atoms; a molecule needs at least one. "
                "Remove it from the data."
            )

    def _check_lengths(self) -> None:
        num_atoms = len(self.z)
        for name, values in (("pos", self.pos), ("forces", self.forces)):
            if values is not None and values.shape != (num_atoms, 3):
                raise ValueError(
                    f"{name} has shape {values.shape} but {num_atoms} atoms need ({num_atoms}, 3)."
                )
        for name, column in self.targets.items():
            if column.shape != self.ids.shape:
                raise ValueError(
                    f"Target {name} has shape {column.shape} but there are {len(self.ids)} ids."
                )

    def _check_values(self) -> None:
        self._refuse("z", (self.z < 1) | (self.z > LARGEST_ATOMIC_NUMBER))
        self._refuse("pos", _not_finite(self.pos))
        if self.forces is not None:
            self._refuse("forces", _not_finite(self.forces))
        for name, values in self.targets.items():
            bad = np.flatnonzero(~np.isfinite(values))
            if len(bad):
                raise ValueError(
                    f"Molecule {self.ids[bad[0]]} has {name} = {values[bad[0]]}, which is not a "
                    "finite number. Correct it in the source or remove the molecule."
                )

    def _refuse(self, name: str, bad_atoms: NDArray[np.bool_]) -> None:
        if not bad_atoms.any():
            return
        atom = int(np.argmax(bad_atoms))
        molecule = int(np.searchsorted(self.offsets, atom, side="right")) - 1
        value = getattr(self, name)[atom]
        rule = f"1 to {LARGEST_ATOMIC_NUMBER}" if name == "z" else "finite numbers"
        raise ValueError(
            f"Molecule {self.ids[molecule]} has {name} = {value} at its atom "
            f"{atom - int(self.offsets[molecule])}; only {rule} can be used. "
            "Correct it in the source or remove the molecule."
        )


def _not_finite(vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(~np.isfinite(vectors).all(axis=1))
