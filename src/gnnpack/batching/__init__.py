"""Store + plan + (seed, epoch, step) -> `PackBatch`; the only maker of filler and masks."""

from gnnpack.batching.assemble import PackSource, assemble
from gnnpack.batching.combined import CombinedBatches, EpochCalls
from gnnpack.batching.host_step import HostStep, split_update
from gnnpack.batching.loader import PackLoader, packs_per_update
from gnnpack.batching.pack_batch import PackBatch
from gnnpack.batching.placement import PLACES, choose_place
from gnnpack.batching.resident import (
    ResidentColumns,
    ResidentPacks,
    assemble_resident,
    resident_bytes,
)
from gnnpack.batching.resident_loader import ResidentLoader
from gnnpack.packing import PackPlan

__all__ = [
    "PLACES",
    "CombinedBatches",
    "EpochCalls",
    "HostStep",
    "PackBatch",
    "PackLoader",
    "PackPlan",
    "PackSource",
    "ResidentColumns",
    "ResidentLoader",
    "ResidentPacks",
    "assemble",
    "assemble_resident",
    "choose_place",
    "packs_per_update",
    "resident_bytes",
    "split_update",
]
