"""How long a store takes to open."""

from __future__ import annotations

from gnnpack.bench.data import BenchData
from gnnpack.bench.section import Contender, Section, measure
from gnnpack.store import Store, open_store


def measure_store(data: BenchData, repeats: int) -> Section:
    """Open the built store, with and without asking whether its raw files have changed."""
    path = data.store.path
    contenders = [
        Contender("open_store", "open_store, checked", lambda: open_store(data.dataset, data.root)),
        Contender("store", "Store(path)", lambda: Store(path)),
    ]
    return measure(
        "store",
        "Open a store (warm)",
        f"{data.store.num_molecules:,} molecules, {data.store.total_atoms:,} atoms, already built "
        "and in the page cache. Checked: against its raw files.",
        contenders,
        repeats,
    )
