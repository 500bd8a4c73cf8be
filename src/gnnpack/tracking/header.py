"""The three lines a run begins with: data, plan, model."""

from __future__ import annotations

# Enough of a SHA-256 to tell data sets apart by eye.
CHECKSUM_LETTERS = 12


def data_line(name: str, *, num_molecules: int, num_atoms: int, source: str, checksum: str) -> str:
    """Data set, its size, where it came from, and the head of its checksum.

    >>> data_line("qm9", num_molecules=130831, num_atoms=2359210, source="qm9pack 1.0.3",
    ...           checksum="0123456789abcdef0123")
    'data   qm9: 130,831 molecules, 2,359,210 atoms, from qm9pack 1.0.3, checksum 0123456789ab'
    """
    return (
        f"data   {name}: {num_molecules:,} molecules, {num_atoms:,} atoms, "
        f"from {source}, checksum {checksum[:CHECKSUM_LETTERS]}"
    )


def plan_line(
    packer: str,
    *,
    num_packs: int,
    atoms_per_pack: int,
    lower_bound: int,
    atom_efficiency: float,
    num_molecules: int,
) -> str:
    """Packer, packs of so many atoms, proven bound, share of atom slots filled, molecules a pack.

    >>> print(plan_line("lpfhp", num_packs=100, atoms_per_pack=36, lower_bound=99,
    ...                 atom_efficiency=0.98646,
    ...                 num_molecules=195))  # doctest: +NORMALIZE_WHITESPACE
    plan   lpfhp: 100 packs of 36 atoms (proven lower bound 99), 98.65 % of atom slots filled,
    1.95 molecules a pack
    """
    return (
        f"plan   {packer}: {num_packs:,} packs of {atoms_per_pack} atoms "
        f"(proven lower bound {lower_bound:,}), "
        f"{_percent(atom_efficiency)} % of atom slots filled, "
        f"{num_molecules / max(num_packs, 1):.2f} molecules a pack"
    )


def model_line(name: str, *, num_parameters: int) -> str:
    """Model and its number of parameters.

    >>> model_line("schnet", num_parameters=186101)
    'model  schnet: 186,101 parameters'
    """
    return f"model  {name}: {num_parameters:,} parameters"


def _percent(share: float) -> str:
    """Two digits after the point, or as many as tell a share from all of it.

    >>> _percent(0.98646), _percent(0.999994), _percent(1.0)
    ('98.65', '99.999', '100.00')
    """
    for digits in range(2, 9):
        text = f"{100 * share:.{digits}f}"
        if share == 1.0 or float(text) < 100.0:
            break
    return text
