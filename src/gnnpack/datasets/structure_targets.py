"""What is read of every frame: targets, forces, lone atoms' energies; the settings for people."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Mapping, NamedTuple

from gnnpack.datasets.molecules import TargetInfo
from gnnpack.datasets.structure_units import Unit, force_unit, target_unit

if TYPE_CHECKING:
    from gnnpack.datasets.structure_formats import Format

READOUTS = ("sum", "mean")


class Wanted(NamedTuple):
    """A target: its key in the file, the unit it becomes, and how atoms make it."""

    key: str
    unit: Unit
    readout: str

    @property
    def info(self) -> TargetInfo:
        """As the store keeps it."""
        return TargetInfo(self.unit.name, self.readout)


class WantedForces(NamedTuple):
    """Forces: their key in the file, eV/Å in one of their unit, whether they must be there."""

    key: str
    factor: float
    needed: bool


def parse_targets(
    targets: Mapping[str, Mapping[str, object] | None] | None, kind: Format, path: str
) -> dict[str, Wanted]:
    """Targets by name, from ``{NAME: {key, unit, readout}}``; None is the energy.

    ``path`` is a file that may say units itself. ValueError for an unknown setting, and for a unit
    or a readout that nobody says.
    """
    if targets is None:
        targets = {"energy": None}
    if not isinstance(targets, Mapping):
        raise ValueError(
            f"dataset.targets is {targets!r}; write a name and its unit, such as "
            "dataset.targets='{energy: eV}'."
        )
    if not targets:
        raise ValueError("dataset.targets is empty; leave it out, or name at least one target.")
    return {name: _target(name, spec or {}, kind, path) for name, spec in targets.items()}


def _target(name: str, spec: Mapping[str, object], kind: Format, path: str) -> Wanted:
    setting = f"dataset.targets.{name}"
    if not isinstance(spec, Mapping):
        raise ValueError(f"{setting} is {spec!r}; write {{key: KEY, unit: UNIT, readout: sum}}.")
    if not name.isidentifier():
        # It becomes a file's name.
        raise ValueError(f"{setting}: name targets with letters, digits and _; key= is free.")
    unknown = sorted(set(spec) - {"key", "unit", "readout"})
    if unknown:
        raise ValueError(f"{setting} has no setting {unknown[0]!r}: key, unit and readout.")
    key = str(spec.get("key") or (kind.energy if name == "energy" else name))
    readout = spec.get("readout") or ("sum" if name == "energy" else None)
    if readout not in READOUTS:
        raise ValueError(
            f"{setting}.readout is {readout!r}; say sum for what grows with the molecule, as "
            "energies do, and mean for what does not, as gaps."
        )
    unit = spec.get("unit")
    if unit is None:
        unit = kind.unit_of(path, key)
        # Where the file is away, that is what must be told; whoever opens it will.
        if unit is None and os.path.isfile(path):
            raise ValueError(
                f"{path} does not say what unit its {key!r} is in. Add dataset.targets='{{{name}: "
                f"{{key: {key}, unit: UNIT, readout: {readout}}}}}', with UNIT such as eV, Ha, "
                "kcal/mol or kJ/mol."
            )
    return Wanted(key, target_unit("eV" if unit is None else unit, f"{setting}.unit"), str(readout))


def parse_forces(
    forces: str | None,
    unit: str | None,
    targets: Mapping[str, Wanted],
    length: float,
    kind: Format,
    path: str,
) -> WantedForces | None:
    """Forces under the key ``forces``; 'auto': under the format's own, if the first frame has them.

    Without a ``unit``: the format's, else that of the energy over that of lengths. ValueError when
    nobody says.
    """
    if forces is None:
        return None
    key = kind.forces if forces == "auto" else str(forces)
    if unit is None:
        unit = kind.unit_of(path, key)
    energies = [target for target in targets.values() if target.unit.name == "eV"]
    energies.sort(key=lambda target: target.key != kind.energy)
    if unit is not None:
        factor = force_unit(unit, "dataset.forces_unit")
    elif energies:
        factor = energies[0].unit.factor / length
    elif forces == "auto":
        return None
    else:
        raise ValueError(
            f"nothing says what unit the forces {key!r} are in. Add dataset.forces_unit=UNIT, such "
            "as eV/Ang or Ha/bohr."
        )
    return WantedForces(key, factor, forces != "auto")


def parse_references(given: Mapping[str, object]) -> dict[int, float]:
    """Energies (eV) of lone atoms by atomic number, from ``{unit: Ha, H: -0.5, ...}``."""
    from ase.data import atomic_numbers

    setting = "dataset.reference_energies"
    values = dict(given)
    unit = values.pop("unit", None)
    if unit is None or not values:
        raise ValueError(f"{setting} is {values}; write {{unit: Ha, H: -0.5, O: -75.1}}.")
    factor = target_unit(unit, f"{setting}.unit")
    if factor.name != "eV":
        raise ValueError(f"{setting}.unit is {unit!r}, which is no unit of energy.")
    energies = {}
    for symbol, value in values.items():
        number = atomic_numbers.get(symbol, 0)
        if number < 1:
            raise ValueError(f"{setting} has {symbol!r}, which is no element's symbol.")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{setting}.{symbol} is {value!r}, which is no number.")
        energies[number] = float(value) * factor.factor
    return energies
