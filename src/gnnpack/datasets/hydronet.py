"""HydroNet: water clusters (H2O)N of 3 to 30 waters, minima of the TTM2.1-F potential.

Source: S. Choudhury et al., arXiv 2012.00131; A. Rakshit et al., J. Chem. Phys. 151, 214307 (2019).
"""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Callable, Iterator, Mapping, NamedTuple, Sequence

from gnnpack.datasets import hydronet_files, hydronet_hdf5, hydronet_small
from gnnpack.datasets.dataset import Dataset, Source
from gnnpack.datasets.hydronet_clusters import ATOMS_OF_WATER, Wanted, first_ids
from gnnpack.datasets.hydronet_npz import read_npz
from gnnpack.datasets.hydronet_xyz import read_xyz
from gnnpack.datasets.molecules import Molecules, TargetInfo
from gnnpack.datasets.size_counts import HYDRONET_2_7M, HYDRONET_4_5M, HYDRONET_500K
from gnnpack.datasets.splits import SplitSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gnnpack.datasets.splits import Split

log = logging.getLogger(__name__)

SUBSETS = ("small", "medium", "large")
FLOAT16_WARNING = (
    "The positions in HydroNet's .npz files are float16. Rounding moves O-H bonds by 0.0022 Å "
    "(root mean square; up to 0.015 Å), an error of some 0.006 kcal/mol a water, three "
    "times that of published models. The xyz and HDF5 files hold float32: "
    "gnnpack data fetch hydronet."
)

HDF5_ORDER_WARNING = (
    f"The members of HydroNet's small subset are published as places in the xyz files. That "
    f"{hydronet_hdf5.FILE} keeps the order of those within a size is likely but not published; "
    "dataset.source=xyz is sure."
)


class Part(NamedTuple):
    """Clusters that are read together, such as those of one raw file."""

    name: str
    chunks: Callable[[], Iterator[Molecules]]


class HydroNet(Dataset):
    """Water clusters and their binding energies (eV) from the files in ``raw_dir``.

    ``subset``: 'medium', the 2,726,710 clusters of 3 to 25 waters; 'small', 500,000 of them;
    'large', 4,464,740 of 3 to 30. ``source``: 'xyz', 'hdf5', 'npz', or 'auto', the first that is
    whole. Ids number the large set by size and place, so all subsets share them. ``split`` with
    neither train nor val: the published lists for small (see `published_split`), else 80 %, 10 %
    and the rest. ValueError for an unknown subset or source.
    """

    name = "hydronet"
    target_infos = {"energy": TargetInfo("eV", "sum")}  # noqa: RUF012
    published_counts: Mapping[str, Mapping[int, int]] = {
        "small": HYDRONET_500K,
        "medium": HYDRONET_2_7M,
        "large": HYDRONET_4_5M,
    }
    """Subset -> number of waters -> number of clusters."""

    def __init__(
        self,
        raw_dir: str,
        subset: str = "medium",
        target: str = "energy",
        split: Mapping[str, object] | SplitSpec | None = None,
        source: str = "auto",
        references: str = "none",
    ) -> None:
        spec = SplitSpec.parse(split or {})
        self._own_split = spec.train is None and spec.val is None and spec.file is None
        if self._own_split and subset != "small":
            spec = spec._replace(train=0.8, val=0.1)
            self._own_split = False
        super().__init__(target=target, split=spec, references=references)
        for what, value, known in (
            ("subset", subset, SUBSETS),
            ("source", source, ("auto", *hydronet_files.SOURCES)),
        ):
            if value not in known:
                raise ValueError(f"dataset.{what} is {value!r}; choose one of {', '.join(known)}.")
        self.raw_dir = os.fspath(raw_dir)
        self.subset = subset
        self.source = source
        counts = self.published_counts[subset]
        self.expected_molecules = sum(counts.values())
        self.expected_atoms = ATOMS_OF_WATER * sum(size * number for size, number in counts.items())

    @property
    def store_name(self) -> str:
        """'hydronet-medium'."""
        return f"{self.name}-{self.subset}"

    @property
    def source_label(self) -> str:
        """'W3-W25 xyz'; MissingSource when no source is whole."""
        kind = self._find().kind
        if kind == "hdf5":
            return hydronet_hdf5.FILE
        label = f"W{min(self._files_of)}-W{max(self._files_of)} {kind}"
        return f"{label} (float16 positions)" if kind == "npz" else label

    def sources(self) -> list[Source]:
        """The files in use; MissingSource, with the cures, when no source is whole."""
        return [Source.of(path) for path in self._find().paths]

    def parts(self) -> Sequence[Part]:
        """Clusters by raw file (HDF5: by rows), in the order of the files."""
        found = self._find()
        ids = None
        if found.split is not None:
            ids = self._small(found).ids
        if found.kind == "hdf5":
            if ids is not None:
                log.warning(HDF5_ORDER_WARNING)
            return self._hdf5_parts(found.paths[0], ids)
        if found.kind == "npz":
            log.warning(FLOAT16_WARNING)
        read = read_xyz if found.kind == "xyz" else read_npz
        starts = first_ids(self._files_of)
        return [
            Part(f"W{size}", partial(read, file, self._wanted(size, starts[size], ids)))
            for size, file in found.files
            if size in self.published_counts[self.subset]
        ]

    def chunks(self) -> Iterator[Molecules]:
        """Some hundred to some thousand clusters at a time, part after part."""
        for part in self.parts():
            yield from part.chunks()

    def make_split(self, ids: NDArray[np.int64], seed: int = 0) -> Split:
        """As `Dataset.make_split`; the published lists of small need their file here."""
        if not self._own_split:
            return super().make_split(ids, seed)
        own_seed = seed if self.split.seed is None else self.split.seed
        test = self.split.test
        if test is not None and (test != int(test) or test < 0):
            raise ValueError(f"dataset.split.test is {test!r}; the published split takes a count.")
        return hydronet_small.published_split(
            self._small(self._find()), ids, None if test is None else int(test), own_seed
        )

    @property
    def _files_of(self) -> Mapping[int, int]:
        """Number of waters -> clusters in the files that hold the subset."""
        return self.published_counts["medium" if self.subset == "small" else self.subset]

    def _find(self) -> hydronet_files.Found:
        return hydronet_files.find(self.raw_dir, self.source, self._files_of, self.subset)

    def _small(self, found: hydronet_files.Found) -> hydronet_small.SmallSplit:
        assert found.split is not None, "find() refuses small without its lists"
        counts = self.published_counts
        return hydronet_small.read_small(found.split, counts["small"], counts["medium"])

    def _wanted(self, size: int, first: int, ids: NDArray[np.int64] | None) -> Wanted:
        return Wanted(size, first, self._files_of[size], ids)

    def _hdf5_parts(self, path: str, wanted: NDArray[np.int64] | None) -> list[Part]:
        ids = hydronet_hdf5.read_ids(path, self._files_of)
        step = hydronet_hdf5.PART_CLUSTERS
        parts = []
        for first in range(0, len(ids), step):
            last = min(first + step, len(ids))
            chunks = partial(hydronet_hdf5.read_hdf5, path, ids, first, last, wanted)
            parts.append(Part(f"rows_{first}", chunks))
        return parts
