"""Raw files to molecules in our units (Å, eV, e), and splits on the data set's own ids."""

from gnnpack.datasets.dataset import Dataset, MissingSource, Source, file_checksum
from gnnpack.datasets.molecules import Molecules, TargetInfo
from gnnpack.datasets.qm9 import QM9
from gnnpack.datasets.splits import (
    Split,
    SplitSpec,
    find_rows,
    load_split,
    make_split,
    save_split,
)
from gnnpack.datasets.structures import read_structures
from gnnpack.datasets.synthetic import Synthetic

__all__ = [
    "QM9",
    "Dataset",
    "MissingSource",
    "Molecules",
    "Source",
    "Split",
    "SplitSpec",
    "Synthetic",
    "TargetInfo",
    "file_checksum",
    "find_rows",
    "load_split",
    "make_split",
    "read_structures",
    "save_split",
]
