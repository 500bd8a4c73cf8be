"""QM9 from the original archive of one file a molecule, less the uncharacterized ones."""

from __future__ import annotations

import re
import tarfile
from typing import Iterator

from gnnpack.datasets.molecules import Molecules
from gnnpack.datasets.qm9_properties import TARGETS, Record, to_molecules

ARCHIVE = "dsgdb9nsd.xyz.tar.bz2"
UNCHARACTERIZED = "uncharacterized.txt"
FILES = (ARCHIVE, UNCHARACTERIZED)
FIGSHARE = "https://doi.org/10.6084/m9.figshare.c.978904"
# As figshare publishes them for files 3195389 and 3195404.
CHECKSUMS = {
    ARCHIVE: "md5:ad1ebd51ee7f5b3a6e32e974e5d54012",
    UNCHARACTERIZED: "md5:a361887bacb427b8a0ce7903d92a53b4",
}
NUM_UNCHARACTERIZED = 3054


def read_archive(path: str, excluded: frozenset[int], chunk: int = 4096) -> Iterator[Molecules]:
    """Molecules of the archive, in its order, without the excluded ids.

    ValueError naming the file and its member when the archive or a member is damaged.
    """
    records: list[Record] = []
    for record in _records(path):
        if record.id in excluded:
            continue
        records.append(record)
        if len(records) == chunk:
            yield to_molecules(records)
            records = []
    if records:
        yield to_molecules(records)


def read_uncharacterized(path: str, expected: int | None = NUM_UNCHARACTERIZED) -> frozenset[int]:
    """Ids of the molecules whose geometry failed the consistency check.

    ValueError when there are not ``expected`` of them (None: as many as the file itself says).
    """
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    own_count = re.compile(r"\b(\d+)\s+(?:compounds|molecules)\b")
    said = {int(number) for line in lines for number in own_count.findall(line)}
    rows = [line for line in lines if re.match(r"\s*\d+(\s|$)", line) and not own_count.match(line)]
    ids = frozenset(int(row.split()[0]) for row in rows)
    wanted = {expected} if expected is not None else said
    if wanted and len(ids) not in wanted:
        raise ValueError(
            f"{path} lists {len(ids)} molecules where {' or '.join(map(str, sorted(wanted)))} are "
            f"expected; it is damaged. Fetch it again: {FIGSHARE}"
        )
    return ids


def parse_xyz(text: str, place: str) -> Record:
    """One file of the archive: atom count, 'gdb id' with 15 values, a line an atom, 3 more lines.

    Fortran writes some exponents as ``*^``. ValueError naming ``place`` when it is damaged.
    """
    lines = text.replace("*^", "e").splitlines()
    try:
        num_atoms = int(lines[0])
        tag, number, *values = lines[1].split()
        atoms = [line.split() for line in lines[2 : 2 + num_atoms]]
        # 15 values: three rotational constants, then our targets in their order.
        if tag != "gdb" or len(values) != 3 + len(TARGETS) or len(lines) < num_atoms + 5:
            raise ValueError("lines or values are missing")
        if len(atoms) != num_atoms or any(len(atom) != 5 for atom in atoms):
            raise ValueError("an atom line has not five fields")
        return Record(
            int(number),
            [atom[0] for atom in atoms],
            [value for atom in atoms for value in atom[1:4]],
            values[3:],
        )
    except (ValueError, IndexError) as error:
        raise ValueError(
            f"{place} is damaged ({error}). Fetch the archive again: {FIGSHARE}"
        ) from error


def _records(path: str) -> Iterator[Record]:
    try:
        # Streamed ("r|"), because seeking in a bz2 file would decompress it again and again.
        with tarfile.open(path, "r|bz2") as archive:
            for member in archive:
                file = archive.extractfile(member)
                if file is None or not member.name.endswith(".xyz"):
                    continue
                yield parse_xyz(file.read().decode("ascii"), f"{path}, {member.name}")
    except (tarfile.TarError, EOFError, OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} cannot be read to its end: {error}. Fetch it again: {FIGSHARE}"
        ) from error
