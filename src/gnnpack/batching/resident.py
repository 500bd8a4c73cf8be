"""The store on the device, and packs filled there from molecule numbers; torch only.

Every tensor has a static shape and nothing waits for the device, so that a CUDA graph can hold it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gnnpack.batching.assemble import PackSource
from gnnpack.batching.pack_batch import PackBatch
from gnnpack.packing import PackPlan

# P packs, N atom slots, G molecule slots (the last is filler's), M molecules of A atoms in all


class ResidentColumns(NamedTuple):
    """A `PackSource`'s columns as tensors of one device."""

    z: Tensor  # (A,) uint8
    pos: Tensor  # (A, 3) float32, Å
    offsets: Tensor  # (M + 1,) int64
    target: Tensor  # (M,) float32, references subtracted; 0 when unknown

    @classmethod
    def of(cls, source: PackSource, device: torch.device | str) -> ResidentColumns:
        """Copy the columns of ``source`` to ``device``."""
        target = np.zeros(len(source.offsets) - 1) if source.target is None else source.target
        columns = (source.z, source.pos, source.offsets, np.asarray(target, dtype=np.float32))
        # np.array copies: columns are read-only memory maps.
        return cls(*(torch.from_numpy(np.array(column)).to(device) for column in columns))


def resident_bytes(source: PackSource) -> int:
    """Bytes that the columns of ``source`` take on a device."""
    num_molecules = len(source.offsets) - 1
    return int(source.z.nbytes + source.pos.nbytes + source.offsets.nbytes + 4 * num_molecules)


def assemble_resident(
    columns: ResidentColumns, rows: Tensor, step_molecules: Tensor, num_atoms: int
) -> PackBatch:
    """Fill packs on the device; the same bits as `assemble`.

    Args:
        rows: (P, G - 1) int32, the column row of each molecule; -1 = none, after all others.
        step_molecules: (P,) int64, real molecules of each pack's whole update.
        num_atoms: N.
    """
    real = rows >= 0
    row = rows.clamp(min=0).long()
    first = columns.offsets[row]
    size = torch.where(real, columns.offsets[row + 1] - first, 0)
    stop = size.cumsum(1)
    slots = torch.arange(num_atoms, device=rows.device).expand(len(rows), -1).contiguous()
    # How many molecules end at or before a slot: its owner, or G - 1 behind the last one.
    molecule_slot = torch.searchsorted(stop, slots, right=True)
    atom_mask = molecule_slot < rows.shape[1]
    column = slots + _with_filler(first - (stop - size)).gather(1, molecule_slot)
    column = torch.where(atom_mask, column, 0)
    return PackBatch(
        z=torch.where(atom_mask, columns.z[column].long(), 0),
        pos=torch.where(atom_mask[..., None], columns.pos[column], 0.0),
        molecule_slot=molecule_slot,
        atom_mask=atom_mask,
        molecule_mask=_with_filler(real),
        target=_with_filler(torch.where(real, columns.target[row], 0.0)),
        num_atoms=_with_filler(size),
        step_molecules=step_molecules.clamp(min=1),
    )


def _with_filler(values: Tensor) -> Tensor:
    """(P, G - 1) -> (P, G): filler's molecule slot has the value 0."""
    return torch.cat([values, values.new_zeros(len(values), 1)], dim=1)


def pack_rows(source: PackSource, plan: PackPlan) -> np.ndarray:
    """Column rows of each pack's molecules, (packs, molecule capacity) int32; -1 = none."""
    assert len(source.offsets) - 1 <= np.iinfo(np.int32).max, "rows must be countable in int32"
    held = np.diff(plan.offsets)
    rows = np.full((len(held), plan.molecule_capacity), -1, dtype=np.int32)
    pack = np.repeat(np.arange(len(held)), held)
    slot = np.arange(len(pack)) - np.repeat(plan.offsets[:-1], held)
    rows[pack, slot] = source.rows[plan.molecules]
    return rows


class ResidentPacks:
    """An epoch's plan on the device; each `take` gives the next packs, counted on the device.

    The tensors keep their places for the whole run, so a graph that holds `take` serves every
    epoch: `load` writes the next plan into them.

    Args:
        num_packs: of an epoch, the empty ones that complete its last update included.
        packs_per_take: P.
    """

    def __init__(
        self, columns: ResidentColumns, plan: PackPlan, num_packs: int, packs_per_take: int
    ) -> None:
        device = columns.z.device
        self.columns, self.num_atoms = columns, plan.atom_capacity
        self._rows = torch.full(
            (num_packs, plan.molecule_capacity), -1, dtype=torch.int32, device=device
        )
        self._step_molecules = torch.ones(num_packs, dtype=torch.int64, device=device)
        self._next = torch.zeros(1, dtype=torch.int64, device=device)
        self._within = torch.arange(packs_per_take, device=device)

    @property
    def atom_slots(self) -> int:
        """Of what one `take` gives."""
        return len(self._within) * self.num_atoms

    def load(self, rows: np.ndarray, step_molecules: np.ndarray) -> None:
        """Begin an epoch: ``rows`` as of `pack_rows`, ``step_molecules`` int64 (packs,)."""
        for kept, new in ((self._rows, rows), (self._step_molecules, step_molecules)):
            tensor = torch.from_numpy(new)
            kept.copy_(tensor.pin_memory() if kept.is_cuda else tensor, non_blocking=kept.is_cuda)
        self.go_to(0)

    def go_to(self, pack: int) -> None:
        """Let the next `take` begin at ``pack``."""
        self._next.fill_(pack)

    def take(self) -> PackBatch:
        """The next P packs."""
        packs = self._next + self._within
        self._next.add_(len(self._within))
        rows, molecules = (
            column.index_select(0, packs) for column in (self._rows, self._step_molecules)
        )
        return assemble_resident(self.columns, rows, molecules, self.num_atoms)
