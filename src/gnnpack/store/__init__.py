"""Molecules as columns on disk, memory-mapped; pair counts and reference energies."""

from gnnpack.store.contract import ChunkLike, DatasetLike
from gnnpack.store.manifest import FORMAT_VERSION, Manifest, StoredTarget
from gnnpack.store.opening import open_store
from gnnpack.store.pair_counts import count_pairs
from gnnpack.store.store import NUM_ELEMENTS, Store
from gnnpack.store.targets import fit_references, reference_sum, residual

__all__ = [
    "FORMAT_VERSION",
    "NUM_ELEMENTS",
    "ChunkLike",
    "DatasetLike",
    "Manifest",
    "Store",
    "StoredTarget",
    "count_pairs",
    "fit_references",
    "open_store",
    "reference_sum",
    "residual",
]
