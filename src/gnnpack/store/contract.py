"""What the store asks of a data set, by shape alone: this room imports none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Iterator, Mapping, Protocol, Sequence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TargetLike(Protocol):
    """Unit of a target and its readout, 'sum' or 'mean'."""

    @property
    def unit(self) -> str: ...
    @property
    def readout(self) -> str: ...


class SourceLike(Protocol):
    """A raw file."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def mtime_ns(self) -> int: ...


class ChunkLike(Protocol):
    """Some molecules, checked, as `gnnpack.datasets.Molecules` describes them."""

    @property
    def z(self) -> NDArray[np.uint8]: ...
    @property
    def pos(self) -> NDArray[np.float32]: ...
    @property
    def offsets(self) -> NDArray[np.int64]: ...
    @property
    def ids(self) -> NDArray[np.int64]: ...
    @property
    def targets(self) -> Mapping[str, NDArray[np.float64]]: ...
    @property
    def forces(self) -> NDArray[np.float32] | None: ...


class PartLike(Protocol):
    """Molecules that can be read alone and beside others, such as those of one raw file."""

    @property
    def name(self) -> str:
        """Fit to name a folder; no other part of the data set has it."""

    @property
    def chunks(self) -> Callable[[], Iterator[ChunkLike]]:
        """Its molecules, some thousand at a time; called in any thread."""


class DatasetLike(Protocol):
    """A data set; `gnnpack.datasets.Dataset` is the base class that fits.

    One that also has ``parts()``, a sequence of `PartLike` whose chunks one after the other are
    those of ``read()``, is read by several threads and resumed by part, see `store.parts`.
    """

    @property
    def name(self) -> str: ...
    @property
    def store_name(self) -> str: ...
    @property
    def source_label(self) -> str: ...
    @property
    def reader_version(self) -> int: ...
    @property
    def target_infos(self) -> Mapping[str, TargetLike]: ...
    @property
    def reference_energies(self) -> Mapping[str, Mapping[int, float]]: ...
    @property
    def expected_molecules(self) -> int | None: ...
    @property
    def expected_atoms(self) -> int | None: ...

    def sources(self) -> Sequence[SourceLike]:
        """The raw files; FileNotFoundError when they are away."""

    def checksums(self) -> Mapping[str, str]:
        """Sha256 of every raw file by name."""

    def read(self) -> Iterator[ChunkLike]:
        """All molecules, some thousand at a time."""
