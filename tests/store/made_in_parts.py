"""`Made` in four parts, and a build that dies where it is told to."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from typing import NamedTuple

from made_molecules import NUM_MOLECULES, Made, part

from gnnpack.store import open_store, opening, parts

BOUNDS = (0, 14, 15, 40, NUM_MOLECULES)


class Part(NamedTuple):
    name: str
    chunks: object


class MadeInParts(Made):
    """Reads four parts of unequal size in chunks of 7; ``started`` counts readings by part."""

    def __init__(self, raw: str, forces: bool = False) -> None:
        super().__init__(raw, forces)
        self.started = []

    def parts(self):
        return [Part(f"part{k}", partial(self.read_part, k, *BOUNDS[k : k + 2])) for k in range(4)]

    def read_part(self, number, first, last):
        self.started.append(number)
        for start in range(first, last, 7):
            yield part(self.molecules, start, min(start + 7, last))

    def chunks(self):
        for one in self.parts():
            yield from one.chunks()


def make_in_parts(folder, forces: bool = False) -> MadeInParts:
    """`MadeInParts` with its raw file in ``folder``."""
    raw = os.path.join(str(folder), "made.raw")
    if not os.path.exists(raw):
        with open(raw, "w", encoding="utf-8") as file:
            file.write("raw")
    return MadeInParts(raw, forces)


def die(*_arguments, **_options):
    """As kill -9 does it: nothing is closed, flushed or cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def build_and_die(folder: str, place: str) -> None:
    """Build the store below ``folder`` with one thread; die at ``place``."""
    parts.num_threads = lambda: 1
    dataset = make_in_parts(folder)
    if place.startswith("chunk"):
        until = int(place[5:])
        read = parts.ChunkWriter.append
        written = []

        def append(writer, chunk):
            if ".made.parts" in writer._folder:
                written.append(chunk)
                if len(written) > until:
                    die()
            read(writer, chunk)

        parts.ChunkWriter.append = append
    elif place == "marking":
        finish = parts.PartFolder.finish
        parts.PartFolder.finish = lambda self, one, columns: (
            die() if one.name == "part2" else finish(self, one, columns)
        )
    elif place == "merging":
        chunks = parts.part_chunks
        parts.part_chunks = lambda path, columns: (
            die() if path.endswith("part3") else chunks(path, columns)
        )
    elif place == "manifest":
        opening.Manifest.save = die
    elif place == "renaming":
        opening.os.rename = die
    elif place == "clearing":
        opening.shutil.rmtree = die
    open_store(dataset, os.path.join(folder, "store"))


if __name__ == "__main__":
    build_and_die(*sys.argv[1:])
