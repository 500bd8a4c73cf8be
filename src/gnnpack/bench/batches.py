"""How long a batch takes to assemble."""

from __future__ import annotations

import numpy as np
import torch

from gnnpack.batching import PackBatch, PackSource, assemble
from gnnpack.bench.beside_pyg import PyG
from gnnpack.bench.data import Batch
from gnnpack.bench.plans import at
from gnnpack.bench.section import PYG, Contender, Section, measure
from gnnpack.packing import PackPlan


def measure_batches(batch: Batch, pyg: PyG | None, repeats: int) -> Section:
    """Assemble the same molecules in each way; the plans are made before."""
    source, packed, padded = batch
    check_collate(source, packed)
    n = len(source.rows)
    contenders = [
        Contender("packed", f"gnnpack, {at(packed)}", lambda: whole_batch(source, packed), n),
        Contender("padded", f"gnnpack, {at(padded)}", lambda: whole_batch(source, padded), n),
        Contender(
            "python", f"plain Python, {at(packed)}", lambda: collate_by_hand(source, packed), n
        ),
    ]
    if pyg is not None:
        molecules, collate = pyg.data_list(source), pyg.collate
        contenders.append(Contender(PYG, "PyG from_data_list", lambda: collate(molecules), n))
    return measure(
        "batch",
        "Assemble a batch",
        f"The same {n:,} molecules: atomic numbers, positions, targets. No neighbours.",
        contenders,
        repeats,
        baseline=PYG,
    )


def whole_batch(source: PackSource, plan: PackPlan) -> PackBatch:
    """All packs of the plan as one batch of one update."""
    return assemble(
        source, plan, 0, plan.num_packs, np.full(plan.num_packs, plan.num_molecules, dtype=np.int64)
    )


def collate_by_hand(source: PackSource, plan: PackPlan) -> PackBatch:
    """`whole_batch` in the obvious way: a loop over packs and their molecules."""
    assert source.target is not None, "a bench knows its targets"
    P, N, G = plan.num_packs, plan.atom_capacity, plan.molecule_capacity + 1
    batch = PackBatch(
        z=torch.zeros(P, N, dtype=torch.int64),
        pos=torch.zeros(P, N, 3),
        molecule_slot=torch.full((P, N), G - 1, dtype=torch.int64),
        atom_mask=torch.zeros(P, N, dtype=torch.bool),
        molecule_mask=torch.zeros(P, G, dtype=torch.bool),
        target=torch.zeros(P, G),
        num_atoms=torch.zeros(P, G, dtype=torch.int64),
        step_molecules=torch.full((P,), plan.num_molecules, dtype=torch.int64),
    )
    for pack in range(P):
        first = 0
        members = plan.molecules[plan.offsets[pack] : plan.offsets[pack + 1]]
        for slot, molecule in enumerate(members):
            row = source.rows[molecule]
            atoms = slice(source.offsets[row], source.offsets[row + 1])
            num_atoms = int(atoms.stop - atoms.start)
            place = slice(first, first + num_atoms)
            batch.z[pack, place] = torch.from_numpy(source.z[atoms].astype(np.int64))
            batch.pos[pack, place] = torch.from_numpy(np.array(source.pos[atoms]))
            batch.molecule_slot[pack, place] = slot
            batch.atom_mask[pack, place] = True
            batch.molecule_mask[pack, slot] = True
            batch.target[pack, slot] = float(source.target[row])
            batch.num_atoms[pack, slot] = num_atoms
            first += num_atoms
    return batch


def check_collate(source: PackSource, plan: PackPlan) -> None:
    """ValueError unless the loop and the index arithmetic fill the same batch."""
    ours, by_hand = whole_batch(source, plan), collate_by_hand(source, plan)
    for name in PackBatch._fields:
        if not torch.equal(getattr(ours, name), getattr(by_hand, name)):
            raise ValueError(
                f"assemble and the plain-Python collate differ in {name} for {at(plan)}, so their "
                "times cannot be compared. This is a bug in gnnpack: please report it."
            )
