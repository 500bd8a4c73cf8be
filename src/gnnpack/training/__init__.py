"""Lightning module and data module; thin."""

from gnnpack.training.blocks import HEAD, blocks_of, freeze_blocks, head_of
from gnnpack.training.callbacks import ValidateAtTheEnd, ema
from gnnpack.training.datamodule import PackedDataModule
from gnnpack.training.pretrained import Taken, take_weights
from gnnpack.training.regression import MoleculeRegression
from gnnpack.training.schedules import constant, cosine, one_cycle, plateau

__all__ = [
    "HEAD",
    "MoleculeRegression",
    "PackedDataModule",
    "Taken",
    "ValidateAtTheEnd",
    "blocks_of",
    "constant",
    "cosine",
    "ema",
    "freeze_blocks",
    "head_of",
    "one_cycle",
    "plateau",
    "take_weights",
]
