"""How long the search for neighbours takes."""

from __future__ import annotations

from functools import partial

import numpy as np

from gnnpack.batching import PackBatch, PackSource
from gnnpack.bench.batches import whole_batch
from gnnpack.bench.data import Batch
from gnnpack.bench.section import Contender, Section, measure
from gnnpack.kernels import Pairs, find_pairs

ASE = "ASE"


def measure_neighbours(batch: Batch, cutoff: float, repeats: int) -> Section:
    """Find all pairs of the batch's molecules in each way; ValueError when the ways disagree."""
    packed = whole_batch(batch.source, batch.packed)
    found = search(packed, cutoff, compiled=True)
    check_neighbours(batch.source, packed, cutoff)
    n, pairs = len(batch.source.rows), len(found.first)
    contenders = [
        Contender("compiled", "gnnpack, compiled", partial(search, packed, cutoff), n),
        Contender(
            "plain", "gnnpack, plain torch", partial(search, packed, cutoff, compiled=False), n
        ),
        Contender(ASE, "ASE, by molecule", partial(search_by_ase, batch.source, cutoff), n),
    ]
    return measure(
        "neighbours",
        "Find neighbours",
        f"{pairs:,} undirected pairs within {cutoff:g} Å in {n:,} molecules, and their distances.",
        contenders,
        repeats,
        baseline=ASE,
    )


def search(batch: PackBatch, cutoff: float, *, compiled: bool = True) -> Pairs:
    """What a training step does with its batch."""
    return find_pairs(batch.pos, batch.molecule_slot, batch.atom_mask, cutoff, compiled=compiled)


def search_by_ase(source: PackSource, cutoff: float) -> list[np.ndarray]:
    """Distances of the directed edges of each molecule, by ASE's neighbour list."""
    # Imported here because nothing else of the overview needs ASE.
    from ase.neighborlist import primitive_neighbor_list

    cell, free = np.eye(3), (False, False, False)
    found = []
    for row in source.rows:
        pos = np.array(source.pos[source.offsets[row] : source.offsets[row + 1]], dtype=np.float64)
        found.append(primitive_neighbor_list("d", free, cell, pos, cutoff))  # type: ignore[no-untyped-call]
    return found


def check_neighbours(source: PackSource, batch: PackBatch, cutoff: float) -> None:
    """ValueError unless all ways find the same distances."""
    expected = np.sort(np.concatenate(search_by_ase(source, cutoff)))[::2]
    for compiled in (True, False):
        distance = np.sort(search(batch, cutoff, compiled=compiled).distance.numpy())
        # float32 positions; a pair on the very edge of the cutoff may be on either side of it.
        inner = expected[expected < cutoff * (1 - 1e-5)]
        if abs(len(distance) - len(expected)) > len(expected) - len(inner) or not np.allclose(
            distance[: len(inner)], inner, atol=1e-4
        ):
            way = "compiled" if compiled else "plain torch"
            raise ValueError(
                f"The {way} search finds {len(distance):,} pairs where ASE finds "
                f"{len(expected):,}, or other distances, so their times cannot be compared. This "
                "is a bug in gnnpack: please report it."
            )
