"""Store + plan + (seed, epoch, step) -> `PackBatch`; the only maker of filler and masks."""

from gnnpack.batching.assemble import PackSource, assemble
from gnnpack.batching.loader import PackLoader, packs_per_update
from gnnpack.batching.pack_batch import PackBatch
from gnnpack.packing import PackPlan

__all__ = ["PackBatch", "PackLoader", "PackPlan", "PackSource", "assemble", "packs_per_update"]
