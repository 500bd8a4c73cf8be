"""Lightning module and data module; thin."""

from gnnpack.training.callbacks import ValidateAtTheEnd, ema
from gnnpack.training.datamodule import PackedDataModule
from gnnpack.training.regression import MoleculeRegression
from gnnpack.training.schedules import constant, cosine, one_cycle, plateau

__all__ = [
    "MoleculeRegression",
    "PackedDataModule",
    "ValidateAtTheEnd",
    "constant",
    "cosine",
    "ema",
    "one_cycle",
    "plateau",
]
