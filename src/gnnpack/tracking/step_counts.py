"""Real molecules, atoms and atom slots of training steps, counted without waiting for a device."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import torch
from torch import Tensor

# Masks of so many steps are kept, then counted by one sum: a launch a step would cost as much as
# Lightning's own hooks.
STEPS_AT_ONCE = 64


class Counts(NamedTuple):
    """Molecules and atoms that are real; slots of atoms, real or not."""

    molecules: int = 0
    atoms: int = 0
    atom_slots: int = 0

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(*(one + more for one, more in zip(self, other)))


class StepCounter:
    """Adds up batches; what lies on a device is counted there, and read when it has arrived.

    A batch tells its numbers itself (``molecules`` and ``atoms`` of each of its updates,
    ``atom_slots`` of all), or has the tensors ``molecule_mask``, ``num_atoms`` and ``atom_mask``.
    Without those of atoms there are none: atoms and slots stay 0.
    """

    def __init__(self) -> None:
        self._molecules = self._atoms = self._atom_slots = 0
        self._masks: list[Tensor] = []
        self._num_atoms: list[Tensor] = []
        self._counted: Tensor | None = None  # (2,) int64 on the device

    def add(self, batch: Any, updates: int) -> None:
        """Count a host step of so many updates.

        Raises:
            ValueError: a batch of neither kind.
        """
        molecules = getattr(batch, "molecules", None)
        if molecules is not None:
            self._add_told(batch, molecules, updates)
            return
        mask = getattr(batch, "molecule_mask", None)
        if not isinstance(mask, Tensor):
            raise ValueError(
                f"A meter got a batch of type {type(batch).__name__} without the tensor "
                "molecule_mask; let the loader yield a PackBatch, or remove the meter from "
                "callbacks."
            )
        self._masks.append(mask)
        num_atoms = getattr(batch, "num_atoms", None)
        if num_atoms is not None:
            self._num_atoms.append(num_atoms)
            self._atom_slots += batch.atom_mask.numel()
        if len(self._masks) == STEPS_AT_ONCE:
            self._fold()

    def take(self) -> Callable[[], Counts]:
        """Begin anew; what was counted is given by a call, which waits for it where it must.

        On CUDA the numbers go to the host in order with the kernels: when a mark made after this
        call is reached, they are there.
        """
        self._fold()
        told = Counts(self._molecules, self._atoms, self._atom_slots)
        self._molecules = self._atoms = self._atom_slots = 0
        counted, self._counted = self._counted, None
        if counted is None:
            return lambda: told
        numbers = sent_to_host(counted)
        return lambda: told.plus(Counts(*numbers()))

    def _add_told(self, batch: Any, molecules: Any, updates: int) -> None:
        # The last call of a run may make fewer updates than it was given.
        self._molecules += sum(molecules[:updates])
        atoms = getattr(batch, "atoms", ())
        if atoms:
            self._atoms += sum(atoms[:updates])
            self._atom_slots += batch.atom_slots * updates // len(atoms)

    def _fold(self) -> None:
        """Count the masks held, by a few operations of their device."""
        if not self._masks:
            return
        molecules = torch.cat(self._masks).sum()
        atoms = torch.cat(self._num_atoms).sum() if self._num_atoms else torch.zeros_like(molecules)
        self._masks, self._num_atoms = [], []
        both = torch.stack([molecules, atoms])
        self._counted = both if self._counted is None else self._counted + both


def sent_to_host(values: Tensor) -> Callable[[], list[int]]:
    """Start to copy (n,) numbers; the call gives them, and waits if they are not there yet."""
    if not values.is_cuda:
        return values.tolist
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    host.copy_(values, non_blocking=True)
    arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
    arrived.record(torch.cuda.current_stream(values.device))

    def read() -> list[int]:
        arrived.synchronize()
        return list(host.tolist())

    return read
