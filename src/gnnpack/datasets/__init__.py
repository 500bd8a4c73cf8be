"""Raw files to molecules in our units (Å, eV, e), and splits on the data set's own ids."""

from gnnpack.datasets.dataset import Dataset, MissingSource, Source, file_checksum
from gnnpack.datasets.hydronet import HydroNet
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
from gnnpack.datasets.structure_dataset import Structures
from gnnpack.datasets.structures import read_structures
from gnnpack.datasets.synthetic import Synthetic
from gnnpack.datasets.water_clusters import WaterClusters

__all__ = [
    "QM9",
    "Dataset",
    "HydroNet",
    "MissingSource",
    "Molecules",
    "Source",
    "Split",
    "SplitSpec",
    "Structures",
    "Synthetic",
    "TargetInfo",
    "WaterClusters",
    "file_checksum",
    "find_rows",
    "load_split",
    "make_split",
    "read_structures",
    "save_split",
]
