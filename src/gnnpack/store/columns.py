"""One column on disk: a .npy file that grows by appending and is read by memory map."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple, Sequence

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Fixed, so that the header can be rewritten when the length is known. numpy asks for a multiple
# of 64; the longest header we can have (float32, 19 digits, 3) takes 93 bytes.
HEADER_BYTES = 128


class ColumnInfo(NamedTuple):
    """What the manifest says of a column; ``sha256`` is over its values, header left out."""

    dtype: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def file_bytes(self) -> int:
        """Size of the whole file."""
        return HEADER_BYTES + self.value_bytes

    @property
    def value_bytes(self) -> int:
        """Size of the values alone."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


class ColumnWriter:
    """Append rows to ``path``; `close` fixes the header and says what was written."""

    def __init__(self, path: str, dtype: str, row: Sequence[int] = ()) -> None:
        self._dtype = np.dtype(dtype)
        self._row = tuple(row)
        self._length = 0
        self._digest = hashlib.sha256()
        self._file = open(path, "wb")  # noqa: SIM115 - closed by `close`
        self._file.write(_header(self._dtype, (0, *self._row)))

    def append(self, values: NDArray[Any]) -> None:
        """Write rows of this column's type and shape."""
        assert values.dtype == self._dtype, f"a column of {self._dtype} got {values.dtype}"
        assert values.shape[1:] == self._row, f"rows of {self._row} got {values.shape[1:]}"
        raw = np.ascontiguousarray(values).tobytes()
        self._file.write(raw)
        self._digest.update(raw)
        self._length += len(values)

    def close(self) -> ColumnInfo:
        """Write the true length, force the bytes to disk and close."""
        shape = (self._length, *self._row)
        self._file.seek(0)
        self._file.write(_header(self._dtype, shape))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return ColumnInfo(self._dtype.str, shape, self._digest.hexdigest())

    def abandon(self) -> None:
        """Close without finishing, whatever the disk says."""
        try:
            self._file.close()
        except OSError:
            # Closing writes what is buffered; on a full disk that fails again, and the file is
            # about to be removed.
            return


def damage(path: str, info: ColumnInfo) -> str | None:
    """Say what is wrong with a column's file, from its size alone, or None."""
    try:
        size = os.path.getsize(path)
    except FileNotFoundError:
        return f"column {os.path.basename(path)} is missing"
    if size == info.file_bytes:
        return None
    return (
        f"column {os.path.basename(path)} has {size:,} bytes where the manifest says "
        f"{info.file_bytes:,}"
    )


def map_column(path: str, info: ColumnInfo) -> NDArray[Any]:
    """Memory-map a column, read-only; ValueError when its header is not what was written."""
    try:
        # A plain array over the map: numpy's memmap class costs microseconds at each slice.
        values: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}). Delete its folder to rebuild.") from error
    if values.dtype.str != info.dtype or values.shape != info.shape:
        raise ValueError(
            f"{path} holds {values.dtype.str} {values.shape}, but the manifest says "
            f"{info.dtype} {info.shape}. Delete its folder to rebuild."
        )
    return values


def values_checksum(path: str) -> str:
    """Sha256 of a column's values, read in blocks."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        file.seek(HEADER_BYTES)
        for block in iter(lambda: file.read(1 << 22), b""):
            digest.update(block)
    return digest.hexdigest()


def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    text = repr({"descr": dtype.str, "fortran_order": False, "shape": shape})
    room = HEADER_BYTES - 10
    assert len(text) < room, "the header outgrew its fixed room"
    magic = b"\x93NUMPY\x01\x00" + room.to_bytes(2, "little")
    return magic + text.ljust(room - 1).encode("ascii") + b"\n"
