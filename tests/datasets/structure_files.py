"""Files of molecules for the tests, as programs of the field write them."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator


def make_atoms(number: int, seed: int = 0, largest: int = 6) -> list[Atoms]:
    """Molecules with energy and forces as ASE keeps them, and a gap in their info."""
    rng = np.random.RandomState(seed)
    made = []
    for _ in range(number):
        size = rng.randint(1, largest + 1)
        atoms = Atoms(rng.choice([1, 6, 8, 17], size), rng.rand(size, 3) * 4)
        energy, forces = float(rng.randn()), rng.randn(size, 3)
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        atoms.info["gap"] = float(rng.rand())
        made.append(atoms)
    return made


def joined(chunks):
    """All chunks as one: z, pos, ids, targets, and forces (None where there are none)."""
    chunks = list(chunks)
    forces = [chunk.forces for chunk in chunks if chunk.forces is not None]
    return (
        np.concatenate([chunk.z for chunk in chunks]),
        np.concatenate([chunk.pos for chunk in chunks]),
        np.concatenate([chunk.ids for chunk in chunks]),
        {k: np.concatenate([chunk.targets[k] for chunk in chunks]) for k in chunks[0].targets},
        np.concatenate(forces) if forces else None,
    )


def assert_same(chunks, made: list[Atoms], energy: float = 1.0, force: float | None = None) -> None:
    """The molecules are these, energies and forces times a factor (``force`` None: the same)."""
    z, pos, ids, targets, forces = joined(chunks)
    np.testing.assert_array_equal(z, np.concatenate([atoms.numbers for atoms in made]))
    np.testing.assert_allclose(pos, np.concatenate([a.positions for a in made]), atol=1e-6)
    np.testing.assert_array_equal(ids, np.arange(len(made)))
    wanted = [atoms.calc.results["energy"] * energy for atoms in made]
    np.testing.assert_allclose(targets["energy"], wanted, rtol=1e-12)
    wanted = np.concatenate([atoms.calc.results["forces"] for atoms in made])
    np.testing.assert_allclose(forces, wanted * (energy if force is None else force), rtol=2e-6)
