"""Units that files of molecules come in, and what they are in ours.

Sources of the constants: `gnnpack.units`; the Bohr radius from CODATA 2018.
"""

from __future__ import annotations

from typing import NamedTuple

from gnnpack.units import ELECTRON_ANGSTROM_TO_DEBYE, HARTREE_TO_EV, KCAL_PER_MOL_TO_EV

BOHR = 0.529177210903
"""Å in one Bohr radius (relative uncertainty 1.5e-10)."""

LENGTHS = {"Ang": 1.0, "bohr": BOHR, "nm": 10.0}
ENERGIES = {
    "eV": 1.0,
    "meV": 1e-3,
    "Ha": HARTREE_TO_EV,
    "mHa": 1e-3 * HARTREE_TO_EV,
    "Ry": HARTREE_TO_EV / 2,
    "kcal/mol": KCAL_PER_MOL_TO_EV,
    "kJ/mol": KCAL_PER_MOL_TO_EV / 4.184,
}
# The unit we keep, and how many of it are in one of the file's.
OTHERS = {
    "D": ("D", 1.0),
    "e*Ang": ("D", ELECTRON_ANGSTROM_TO_DEBYE),
    "e*bohr": ("D", ELECTRON_ANGSTROM_TO_DEBYE * BOHR),
    "a0^2": ("a0^2", 1.0),
    "a0^3": ("a0^3", 1.0),
    "Ang^3": ("a0^3", BOHR**-3),
    "cal/(mol K)": ("cal/(mol K)", 1.0),
    "e": ("e", 1.0),
    "1": ("1", 1.0),
}
ALIASES = {
    "angstrom": "Ang",
    "å": "Ang",
    "a": "Ang",
    "a0": "bohr",
    "hartree": "Ha",
    "eh": "Ha",
    "rydberg": "Ry",
    "debye": "D",
    "bohr^3": "a0^3",
    "bohr^2": "a0^2",
}


class Unit(NamedTuple):
    """``name`` in the store, and how many of it one of the file's unit is."""

    name: str
    factor: float


def target_unit(text: object, setting: str) -> Unit:
    """The unit of a target; ValueError naming the ``setting`` for one not known.

    >>> target_unit("kcal/mol", "unit").name
    'eV'
    """
    name = _canonical(str(text), [*ENERGIES, *OTHERS])
    if name in ENERGIES:
        return Unit("eV", ENERGIES[name])
    if name in OTHERS:
        return Unit(*OTHERS[name])
    raise ValueError(
        f"{setting} is {text!r}, a unit gnnpack does not know. Choose one of "
        f"{', '.join([*ENERGIES, *OTHERS])} (1: no unit), or convert the file."
    )


def length_unit(text: object, setting: str) -> float:
    """Å in one of the unit; ValueError naming the ``setting`` for one not known."""
    name = _canonical(str(text), list(LENGTHS))
    if name not in LENGTHS:
        raise ValueError(f"{setting} is {text!r}; choose one of {', '.join(LENGTHS)}.")
    return LENGTHS[name]


def force_unit(text: object, setting: str) -> float:
    """eV/Å in one of the unit, such as Ha/bohr or kcal/mol/Ang; ValueError for one not known.

    >>> force_unit("eV/Ang", "forces_unit")
    1.0
    """
    energy, slash, length = str(text).rpartition("/")
    energy, length = _canonical(energy, list(ENERGIES)), _canonical(length, list(LENGTHS))
    if not slash or energy not in ENERGIES or length not in LENGTHS:
        raise ValueError(
            f"{setting} is {text!r}; write an energy over a length, such as eV/Ang, Ha/bohr or "
            f"kcal/mol/Ang. Energies: {', '.join(ENERGIES)}; lengths: {', '.join(LENGTHS)}."
        )
    return ENERGIES[energy] / LENGTHS[length]


def _canonical(text: str, known: list[str]) -> str:
    """The spelling of our tables: case is free where that leaves one meaning (not mHa, MHa)."""
    text = text.strip()
    if text in known:
        return text
    text = ALIASES.get(text.lower(), text)
    alike = [name for name in known if name.lower() == text.lower()]
    return alike[0] if len(alike) == 1 and text not in known else text
