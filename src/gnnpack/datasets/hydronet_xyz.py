"""HydroNet's original files: the clusters of one size as one long xyz text, in a zip.

Energies in kcal/mol, positions in Å with nine digits, so float32 holds them.
"""

from __future__ import annotations

from typing import Iterator

import numpy as np

from gnnpack.datasets.hydronet_archives import RawFile, open_raw
from gnnpack.datasets.hydronet_clusters import Wanted, check_count, to_molecules
from gnnpack.datasets.hydronet_frames import read_frames
from gnnpack.datasets.molecules import Molecules

# Of text at a time: some 800 of the largest clusters.
BLOCK_BYTES = 1 << 22


def read_xyz(file: RawFile, wanted: Wanted, block: int = BLOCK_BYTES) -> Iterator[Molecules]:
    """The wanted clusters of one file, in its order; ValueError with the line when damaged."""
    num_frames = 0
    rest = b""
    with open_raw(file) as stream:
        while True:
            read = stream.read(block)
            text = rest + read
            at_end = not read
            frames, used = read_frames(text, wanted.num_atoms, at_end, str(file), num_frames)
            rest = text[used:]
            ids = wanted.first_id + num_frames + np.arange(len(frames.energies), dtype=np.int64)
            num_frames += len(ids)
            molecules = to_molecules(*frames, ids, wanted, str(file))
            if molecules is not None:
                yield molecules
            if at_end:
                break
    check_count(num_frames, wanted, str(file))
