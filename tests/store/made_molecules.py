"""A data set of a few molecules with one raw file, for the store's tests."""

from __future__ import annotations

import os

import numpy as np

from gnnpack.datasets import Dataset, MissingSource, Molecules, Source, TargetInfo

NUM_MOLECULES = 60


def make_molecules(forces: bool = False) -> Molecules:
    """60 molecules of H, C and O with 1 to 5 atoms; energy = exact sum of references 1, 6, 8."""
    random = np.random.RandomState(0)
    sizes = random.randint(1, 6, NUM_MOLECULES)
    offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    z = random.choice([1, 6, 8], offsets[-1]).astype(np.uint8)
    return Molecules(
        z=z,
        pos=random.uniform(-2, 2, (len(z), 3)).astype(np.float32),
        offsets=offsets,
        ids=np.arange(NUM_MOLECULES, dtype=np.int64) * 3 + 100,
        targets={
            "energy": np.add.reduceat(z.astype(np.float64), offsets[:-1]),
            "gap": random.uniform(0, 9, NUM_MOLECULES),
        },
        forces=random.uniform(-1, 1, (len(z), 3)).astype(np.float32) if forces else None,
    )


def part(molecules: Molecules, first: int, last: int) -> Molecules:
    """Molecules first to last - 1."""
    start, stop = molecules.offsets[[first, last]]
    return Molecules(
        z=molecules.z[start:stop],
        pos=molecules.pos[start:stop],
        offsets=molecules.offsets[first : last + 1] - start,
        ids=molecules.ids[first:last],
        targets={name: values[first:last] for name, values in molecules.targets.items()},
        forces=None if molecules.forces is None else molecules.forces[start:stop],
    )


class Made(Dataset):
    """Reads `make_molecules` in chunks of 7; ``raw`` stands for its raw file."""

    name = "made"
    target_infos = {"energy": TargetInfo("eV", "sum"), "gap": TargetInfo("eV", "mean")}  # noqa: RUF012
    reference_energies = {"energy": {1: 1.0, 6: 6.0, 8: 8.25}}  # noqa: RUF012

    def __init__(self, raw: str, forces: bool = False) -> None:
        super().__init__(target="energy", split={"train": 40, "val": 10})
        self.raw = raw
        self.molecules = make_molecules(forces)
        self.times_read = 0

    def sources(self):
        if not os.path.exists(self.raw):
            raise MissingSource("The raw file of made is not here. Cure it.")
        return [Source.of(self.raw)]

    def chunks(self):
        self.times_read += 1
        for first in range(0, NUM_MOLECULES, 7):
            yield part(self.molecules, first, min(first + 7, NUM_MOLECULES))


def make_dataset(folder, forces: bool = False) -> Made:
    """`Made` with its raw file in ``folder``."""
    raw = os.path.join(str(folder), "made.raw")
    if not os.path.exists(raw):
        with open(raw, "w", encoding="utf-8") as file:
            file.write("raw")
    return Made(raw, forces)
