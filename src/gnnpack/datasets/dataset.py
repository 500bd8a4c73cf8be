"""The base class of every data set: what it must say about itself, and how it is read."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Iterator, Mapping, NamedTuple, Sequence

from gnnpack.datasets.splits import Split, SplitSpec, make_split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gnnpack.datasets.molecules import Molecules, TargetInfo


REFERENCES = ("published", "fitted", "none")


class MissingSource(ValueError, FileNotFoundError):
    """The raw files of a data set are not there; the message holds the cures."""


class Source(NamedTuple):
    """A raw file: its name, where it lies, its size in bytes and time of change in ns."""

    name: str
    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: str) -> Source:
        """Describe the file at ``path``; OSError when it cannot be looked at."""
        status = os.stat(path)
        return cls(os.path.basename(path), path, status.st_size, status.st_mtime_ns)


def file_checksum(path: str, algorithm: str = "sha256") -> str:
    """Hexadecimal checksum of a file, read in blocks; OSError when it cannot be read."""
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 22), b""):
            digest.update(block)
    return digest.hexdigest()


class Dataset(ABC):
    """Molecules from raw files, with the units and references of their targets.

    A subclass sets the class attributes below and writes `sources` and `chunks`; everything
    downstream (store, split, training) follows from these. See docs/add_a_dataset.md.
    ``references`` says what is subtracted from a total: the published energies of lone atoms,
    those fitted to the training split, or nothing.
    ValueError when ``target`` does not exist or ``split`` has an unknown key.
    """

    name: str
    """Short name; also the folder of the store unless `store_name` says otherwise."""
    reader_version: int = 1
    """Raise it when the reader's output changes: stores built before are then rebuilt."""
    target_infos: Mapping[str, TargetInfo]
    reference_energies: Mapping[str, Mapping[int, float]] = {}
    """Target -> atomic number -> published value of the lone atom, in the target's unit."""
    has_forces: bool = False
    """Whether molecules come with forces; for the room a store needs."""
    expected_molecules: int | None = None
    expected_atoms: int | None = None
    published_checksums: Mapping[str, str] = {}
    """File name -> 'algorithm:hexadecimal'; a file that differs is refused."""

    def __init__(
        self,
        *,
        target: str,
        split: Mapping[str, object] | SplitSpec,
        references: str = "published",
    ) -> None:
        if target not in self.target_infos:
            raise ValueError(
                f"dataset.target is {target!r}, which {self.name} does not have. "
                f"Available: {', '.join(self.target_infos)}."
            )
        if references not in REFERENCES:
            raise ValueError(
                f"dataset.references is {references!r}; choose one of {', '.join(REFERENCES)}."
            )
        self.target = target
        self.split = SplitSpec.parse(split)
        self.references = references

    @property
    def store_name(self) -> str:
        """Folder of this data set's store, below ``data_dir/store``."""
        return self.name

    @property
    def source_label(self) -> str:
        """Where the data come from, for people; MissingSource when no raw file is there."""
        return ", ".join(source.name for source in self.sources())

    @abstractmethod
    def sources(self) -> Sequence[Source]:
        """The raw files, empty when there are none to have; MissingSource when they are away."""

    @abstractmethod
    def chunks(self) -> Iterator[Molecules]:
        """Read the sources, some thousand molecules at a time, in our units."""

    def read(self) -> Iterator[Molecules]:
        """`chunks`, with the expected counts checked at the end (ValueError)."""
        num_molecules = num_atoms = 0
        for chunk in self.chunks():
            num_molecules += chunk.num_molecules
            num_atoms += len(chunk.z)
            yield chunk
        for what, found, expected in (
            ("molecules", num_molecules, self.expected_molecules),
            ("atoms", num_atoms, self.expected_atoms),
        ):
            if expected is not None and found != expected:
                raise ValueError(
                    f"{self.name}: read {found:,} {what} where {expected:,} are expected. "
                    f"A raw file is damaged or of another release: {self.source_label}."
                )

    def checksums(self) -> dict[str, str]:
        """Sha256 of every source by name; ValueError where a published checksum differs."""
        found = {}
        for source in self.sources():
            found[source.name] = file_checksum(source.path)
            published = self.published_checksums.get(source.name)
            if published is None:
                continue
            algorithm, _, expected = published.partition(":")
            sha256 = algorithm == "sha256"
            actual = found[source.name] if sha256 else file_checksum(source.path, algorithm)
            if actual != expected:
                raise ValueError(
                    f"{source.path} has the {algorithm} {actual}, but the published file has "
                    f"{expected}. It is damaged or of another release; fetch it again."
                )
        return found

    def make_split(self, ids: NDArray[np.int64], seed: int = 0) -> Split:
        """Split the molecules with these ids as `split` says; its own seed, if any, wins."""
        spec = self.split
        return make_split(
            ids,
            train=spec.train,
            val=spec.val,
            test=spec.test,
            seed=seed if spec.seed is None else spec.seed,
            file=spec.file,
        )
