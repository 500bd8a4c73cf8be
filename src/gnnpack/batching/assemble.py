"""Fill packs from columns with index arithmetic: no Python loop over molecules or atoms."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from gnnpack.batching.pack_batch import PackBatch
from gnnpack.packing import PackPlan


class PackSource(NamedTuple):
    """The columns packs are filled from, and which of their rows a plan speaks of."""

    z: np.ndarray  # (A,) uint8
    pos: np.ndarray  # (A, 3) float32, Å
    offsets: np.ndarray  # (M + 1,) int64, atoms of row r are offsets[r]:offsets[r + 1]
    target: np.ndarray | None  # (M,) float64, references subtracted; None when unknown
    rows: np.ndarray  # (n,) int64: plan molecule -> row

    @property
    def num_atoms(self) -> np.ndarray:
        """Atoms of each molecule the plan speaks of, int64 (n,)."""
        return np.asarray(self.offsets[self.rows + 1] - self.offsets[self.rows], dtype=np.int64)


def assemble(
    source: PackSource, plan: PackPlan, start: int, stop: int, step_molecules: np.ndarray
) -> PackBatch:
    """Packs ``start:stop`` of ``plan`` as a batch.

    Args:
        step_molecules: int64 (stop - start,), real molecules of each pack's whole update.
    """
    num_packs, N = stop - start, plan.atom_capacity
    G = plan.molecule_capacity + 1
    where = _molecule_places(source, plan, start, stop)

    z = np.zeros(num_packs * N, dtype=np.int64)
    pos = np.zeros((num_packs * N, 3), dtype=np.float32)
    molecule_slot = np.full(num_packs * N, G - 1, dtype=np.int64)
    atom_mask = np.zeros(num_packs * N, dtype=bool)
    slots, columns = _atom_places(where, N)
    z[slots] = source.z[columns]
    pos[slots] = source.pos[columns]
    molecule_slot[slots] = np.repeat(where.slot, where.num_atoms)
    atom_mask[slots] = True

    molecule_mask = np.zeros((num_packs, G), dtype=bool)
    target = np.zeros((num_packs, G), dtype=np.float32)
    num_atoms = np.zeros((num_packs, G), dtype=np.int64)
    molecule_mask[where.pack, where.slot] = True
    num_atoms[where.pack, where.slot] = where.num_atoms
    if source.target is not None:
        target[where.pack, where.slot] = source.target[where.row]

    arrays = (
        z.reshape(num_packs, N),
        pos.reshape(num_packs, N, 3),
        molecule_slot.reshape(num_packs, N),
        atom_mask.reshape(num_packs, N),
        molecule_mask,
        target,
        num_atoms,
        np.maximum(step_molecules, 1).astype(np.int64),
    )
    return PackBatch(*(torch.from_numpy(array) for array in arrays))


class _MoleculePlaces(NamedTuple):
    """Where each molecule of the batch goes; all (m,) int64, in pack order."""

    row: np.ndarray  # row of the columns
    pack: np.ndarray  # pack in the batch
    slot: np.ndarray  # molecule slot in the pack
    num_atoms: np.ndarray
    first_column: np.ndarray  # first atom in the columns
    first_atom: np.ndarray  # first atom slot in the pack


def _molecule_places(source: PackSource, plan: PackPlan, start: int, stop: int) -> _MoleculePlaces:
    borders = plan.offsets[start : stop + 1]
    row = source.rows[plan.molecules[borders[0] : borders[-1]]]
    per_pack = np.diff(borders)
    pack = np.repeat(np.arange(stop - start), per_pack)
    slot = np.arange(len(row)) - np.repeat(borders[:-1] - borders[0], per_pack)
    first_column = source.offsets[row]
    num_atoms = source.offsets[row + 1] - first_column
    before = np.concatenate([[0], np.cumsum(num_atoms)])
    first_atom = before[:-1] - np.repeat(before[borders[:-1] - borders[0]], per_pack)
    return _MoleculePlaces(row, pack, slot, num_atoms, first_column, first_atom)


def _atom_places(where: _MoleculePlaces, N: int) -> tuple[np.ndarray, np.ndarray]:
    """Flat atom slots of the batch and the column indices that fill them, both (a,) int64."""
    first_slot = where.pack * N + where.first_atom
    total = int(where.num_atoms.sum())
    before = np.cumsum(where.num_atoms) - where.num_atoms
    within = np.arange(total) - np.repeat(before, where.num_atoms)
    slots = np.repeat(first_slot, where.num_atoms) + within
    columns = np.repeat(where.first_column, where.num_atoms) + within
    return slots, columns
