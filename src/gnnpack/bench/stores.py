"""How long a store takes to open, and to read from."""

from __future__ import annotations

import numpy as np

from gnnpack.bench.data import Batch, BenchData
from gnnpack.bench.section import Contender, Section, measure
from gnnpack.store import Store, open_store


def measure_store(data: BenchData, batch: Batch, repeats: int) -> Section:
    """Open the built store, with and without asking after its raw files, and read columns."""
    store, rows = data.store, batch.source.rows
    contenders = [
        Contender(
            "open_store",
            "open_store, checked",
            lambda: open_store(data.dataset, data.store_root),
        ),
        Contender("store", "Store(path)", lambda: Store(store.path)),
        Contender("read_all", "read all positions", lambda: read_all(store), store.num_molecules),
        Contender(
            "read_some",
            f"read {len(rows):,} molecules, one by one",
            lambda: read_molecules(store, rows),
            len(rows),
        ),
    ]
    return measure(
        "store",
        "Open and read a store (warm)",
        f"{store.num_molecules:,} molecules, {store.total_atoms:,} atoms, already built and in the "
        "page cache. Checked: against its raw files.",
        contenders,
        repeats,
    )


def read_all(store: Store) -> np.ndarray:
    """A copy of every position, (A, 3), through the memory map."""
    return np.array(store.pos)


def read_molecules(store: Store, rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Atomic numbers and positions of some molecules, copied one after the other."""
    found = []
    for row in rows:
        atoms = slice(store.offsets[row], store.offsets[row + 1])
        found.append((np.array(store.z[atoms]), np.array(store.pos[atoms])))
    return found
