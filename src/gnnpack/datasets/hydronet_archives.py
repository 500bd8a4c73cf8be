"""Read a raw file where it lies: plain, in a zip, or in a zip within a zip; nothing is unpacked."""

from __future__ import annotations

import zipfile
import zlib
from contextlib import ExitStack, contextmanager
from typing import IO, Iterator, NamedTuple

# What zipfile raises for a damaged archive: its own error, zlib's, a short read.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError)


class RawFile(NamedTuple):
    """A file at ``path``, or the member of it (and the member of that member) to read."""

    path: str
    members: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join((self.path, *self.members))

    def member(self, name: str) -> RawFile:
        """The member ``name`` of this archive."""
        return RawFile(self.path, (*self.members, name))


@contextmanager
def open_raw(file: RawFile) -> Iterator[IO[bytes]]:
    """Open a raw file as a stream of bytes.

    ValueError naming it when an archive is damaged or lacks the member, also while it is read.
    """
    with ExitStack() as stack:
        try:
            stream: IO[bytes] = stack.enter_context(open(file.path, "rb"))
            for name in file.members:
                archive = stack.enter_context(zipfile.ZipFile(stream))
                stream = stack.enter_context(archive.open(name))
            yield stream
        except (*DAMAGE, KeyError) as error:
            raise ValueError(f"{file} cannot be read: {error}. Fetch it again.") from error


def members(file: RawFile) -> list[str]:
    """Names of the members of an archive; ValueError when it is none."""
    with open_raw(file) as stream:
        try:
            return zipfile.ZipFile(stream).namelist()
        except DAMAGE as error:
            raise ValueError(f"{file} is not a whole zip: {error}. Fetch it again.") from error
