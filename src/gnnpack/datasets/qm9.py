"""QM9: 130,831 molecules of H, C, N, O and F with up to nine heavy atoms, B3LYP/6-31G(2df,p)."""

from __future__ import annotations

import os
from importlib import metadata
from typing import TYPE_CHECKING, Iterator, Mapping

from gnnpack.datasets import qm9_csv, qm9_xyz
from gnnpack.datasets.dataset import Dataset, MissingSource, Source
from gnnpack.datasets.qm9_properties import REFERENCE_ENERGIES, TARGETS

if TYPE_CHECKING:
    from gnnpack.datasets.molecules import Molecules
    from gnnpack.datasets.splits import SplitSpec

SOURCES = ("auto", "qm9pack", "xyz")
STANDARD_SPLIT = {"train": 110_000, "val": 10_000, "test": None}


class QM9(Dataset):
    """QM9 from the installed package qm9pack or from the original archive in ``raw_dir``.

    ``source``: 'qm9pack', 'xyz', or 'auto' (the first that is there). Both leave out the 3,054
    molecules whose geometry failed the authors' consistency check, and both number molecules as
    the archive does, so a split does not depend on the source. Energies in eV; units and
    references in `qm9_properties`. ValueError for an unknown target or source.
    """

    name = "qm9"
    target_infos = TARGETS
    reference_energies = REFERENCE_ENERGIES
    expected_molecules: int | None = 130_831
    expected_atoms: int | None = 2_359_210
    expected_uncharacterized: int | None = qm9_xyz.NUM_UNCHARACTERIZED
    published_checksums: Mapping[str, str] = {**qm9_csv.CHECKSUMS, **qm9_xyz.CHECKSUMS}

    def __init__(
        self,
        raw_dir: str,
        target: str = "U0",
        split: Mapping[str, object] | SplitSpec = STANDARD_SPLIT,
        source: str = "auto",
        references: str = "published",
    ) -> None:
        super().__init__(target=target, split=split, references=references)
        if source not in SOURCES:
            raise ValueError(f"dataset.source is {source!r}; choose one of {', '.join(SOURCES)}.")
        self.raw_dir = os.fspath(raw_dir)
        self.source = source

    @property
    def source_label(self) -> str:
        """'qm9pack 1.0.3' or the archive's name; MissingSource when neither is there."""
        if self._kind() == "xyz":
            return qm9_xyz.ARCHIVE
        try:
            return f"qm9pack {metadata.version('qm9pack')}"
        except metadata.PackageNotFoundError:
            return "qm9pack"

    def sources(self) -> list[Source]:
        """The files of the source in use; MissingSource, with three cures, when there is none."""
        if self._kind() == "xyz":
            return [Source.of(os.path.join(self.raw_dir, name)) for name in qm9_xyz.FILES]
        folder = self._package_folder()
        assert folder is not None, "the kind is qm9pack only where its folder was found"
        return [Source.of(os.path.join(folder, name)) for name in qm9_csv.FILES]

    def chunks(self) -> Iterator[Molecules]:
        """Molecules in the order of the files, 4,096 at a time."""
        paths = {source.name: source.path for source in self.sources()}
        if qm9_xyz.ARCHIVE in paths:
            excluded = qm9_xyz.read_uncharacterized(
                paths[qm9_xyz.UNCHARACTERIZED], self.expected_uncharacterized
            )
            return qm9_xyz.read_archive(paths[qm9_xyz.ARCHIVE], excluded)
        return qm9_csv.read_parts([paths[name] for name in qm9_csv.PART_FILES])

    def _package_folder(self) -> str | None:
        folder = qm9_csv.find_folder()
        if folder and all(os.path.isfile(os.path.join(folder, name)) for name in qm9_csv.FILES):
            return folder
        return None

    def _kind(self) -> str:
        if self.source in ("auto", "qm9pack") and self._package_folder() is not None:
            return "qm9pack"
        missing = [n for n in qm9_xyz.FILES if not os.path.isfile(os.path.join(self.raw_dir, n))]
        if self.source in ("auto", "xyz") and not missing:
            return "xyz"
        raise MissingSource(
            f"QM9 is not on this machine (dataset.source={self.source}). Do one of these: "
            "(1) pip install qm9pack==1.0.3; "
            f"(2) put {' and '.join(qm9_xyz.FILES)} from {qm9_xyz.FIGSHARE} into {self.raw_dir}; "
            "(3) train on made molecules with dataset=synthetic."
        )
