"""Small random molecules with an analytic energy: no files, any number, what tests run on."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Iterator, Mapping, Sequence

import numpy as np

from gnnpack.datasets.dataset import Dataset, Source
from gnnpack.datasets.molecules import Molecules, TargetInfo
from gnnpack.datasets.synthetic_energy import ATOM_ENERGIES, dipole, energy
from gnnpack.datasets.synthetic_sizes import size_probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gnnpack.datasets.splits import SplitSpec

# Atoms sit near sites of a diamond lattice, so nobody has more than four near neighbours.
# A jitter of up to 0.17 Å along each axis leaves every pair at least 1.5 - 2 sqrt(3) 0.17 =
# 0.911 Å apart.
BOND = 1.5
JITTER = 0.17
HEAVY_FRACTION = 0.49
HEAVY_ELEMENTS = (6, 7, 8, 9)
HEAVY_WEIGHTS = (0.72, 0.12, 0.14, 0.02)
_BLOCK = 256


class Synthetic(Dataset):
    """``num_molecules`` made molecules of H, C, N, O and F, as compact as real ones.

    Molecule i depends on (``seed``, ``sizes``, i) alone, whatever ``num_molecules`` is. Targets:
    ``energy`` (eV, sum) and ``dipole`` (D, mean), see `synthetic_energy`. ``sizes`` as in
    `size_probabilities`. ValueError for numbers that make no sense.
    """

    name = "synthetic"
    target_infos: Mapping[str, TargetInfo] = {
        "energy": TargetInfo("eV", "sum"),
        "dipole": TargetInfo("D", "mean"),
    }
    reference_energies: Mapping[str, Mapping[int, float]] = {"energy": ATOM_ENERGIES}

    def __init__(
        self,
        num_molecules: int = 1000,
        sizes: str | Sequence[float] = "qm9",
        seed: int = 0,
        target: str = "energy",
        split: Mapping[str, object] | SplitSpec | None = None,
        references: str = "published",
    ) -> None:
        split = split or {"train": 0.8, "val": 0.1, "test": None}
        super().__init__(target=target, split=split, references=references)
        if num_molecules < 1:
            raise ValueError(f"dataset.num_molecules is {num_molecules}; it must be at least 1.")
        if not 0 <= seed < 2**32:
            raise ValueError(f"dataset.seed is {seed}; it must lie between 0 and 2**32 - 1.")
        self.num_molecules = self.expected_molecules = int(num_molecules)
        self.sizes = sizes if isinstance(sizes, str) else list(sizes)
        self.seed = seed
        self._probabilities = size_probabilities(self.sizes)
        self._sites = _diamond_sites(3 * len(self._probabilities) + 60)

    @property
    def store_name(self) -> str:
        """'synthetic-' and a hash of the parameters that shape the molecules."""
        parameters = json.dumps([self.num_molecules, self.sizes, self.seed])
        return f"{self.name}-{hashlib.sha256(parameters.encode()).hexdigest()[:12]}"

    @property
    def source_label(self) -> str:
        """'made, seed 0'."""
        return f"made, seed {self.seed}"

    def sources(self) -> list[Source]:
        """No files."""
        return []

    def chunks(self) -> Iterator[Molecules]:
        """Molecules in the order of their numbers, 256 at a time."""
        for first in range(0, self.num_molecules, _BLOCK):
            # Whole blocks are always made, so a molecule never depends on how many are wanted.
            z, pos = self._block(first // _BLOCK)
            wanted = min(_BLOCK, self.num_molecules - first)
            yield _flat(z[:wanted], pos[:wanted], first)

    def _block(self, number: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        # RandomState, because numpy has frozen its stream: the same molecules in every version.
        random = np.random.RandomState([self.seed, number])
        edges = np.cumsum(self._probabilities)
        sizes = np.searchsorted(edges / edges[-1], random.random_sample(_BLOCK), side="right")
        slots = np.arange(len(self._probabilities) - 1)
        real = slots < sizes[:, None]
        pos = np.where(real[:, :, None], self._positions(random), 0.0).astype(np.float32)
        return np.where(real, _elements(random, sizes, len(slots)), 0).astype(np.uint8), pos

    def _positions(self, random: np.random.RandomState) -> NDArray[np.float64]:
        """Jittered sites around a random centre, the nearest first, (block, slots, 3)."""
        num_slots = len(self._probabilities) - 1
        centre = random.uniform(-0.8, 0.8, (_BLOCK, 1, 3))
        stretch = random.uniform(0.6, 1.4, (_BLOCK, 1, 3))
        noise = random.uniform(0.0, 1.0, (_BLOCK, len(self._sites)))
        away = np.sqrt((((self._sites - centre) * stretch) ** 2).sum(axis=-1)) + noise
        chosen = np.argsort(away, axis=1, kind="stable")[:, :num_slots]
        jitter = random.uniform(-JITTER, JITTER, (_BLOCK, num_slots, 3))
        turned = np.matmul(self._sites[chosen] + jitter, _rotations(random))
        return np.asarray(turned, dtype=np.float64)


def _rotations(random: np.random.RandomState) -> NDArray[np.float64]:
    """Uniform random rotations (block, 3, 3), from unit quaternions."""
    q = random.standard_normal((_BLOCK, 4))
    w, x, y, z = (q / np.sqrt((q**2).sum(axis=1, keepdims=True))).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def _diamond_sites(number: int) -> NDArray[np.float64]:
    """The ``number`` sites of a diamond lattice nearest to one of them, (number, 3) Å."""
    cell = 4.0 * BOND / np.sqrt(3.0)
    half = int(np.ceil((number / 8.0) ** (1.0 / 3.0))) + 1
    corners = np.stack(np.meshgrid(*[np.arange(-half, half + 1)] * 3), axis=-1).reshape(-1, 1, 3)
    faces = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0]]) / 4.0
    basis = np.concatenate((faces, faces + 0.25))
    sites = ((corners + basis) * cell).reshape(-1, 3)
    # Rounded, so that sites at equal distance keep their order on every machine.
    nearest = np.argsort(np.round((sites**2).sum(axis=1), 6), kind="stable")
    return np.asarray(sites[nearest[:number]], dtype=np.float64)


def _elements(
    random: np.random.RandomState, sizes: NDArray[np.int64], num_slots: int
) -> NDArray[np.int64]:
    """Heavy atoms inside, hydrogen outside, as in real molecules; (block, slots)."""
    heavy = np.maximum(1, np.round(sizes * HEAVY_FRACTION + random.uniform(-1, 1, len(sizes))))
    kinds = random.choice(HEAVY_ELEMENTS, p=HEAVY_WEIGHTS, size=(len(sizes), num_slots))
    return np.where(np.arange(num_slots) < heavy[:, None], kinds, 1)


def _flat(z: NDArray[np.uint8], pos: NDArray[np.float32], first: int) -> Molecules:
    real = z > 0
    return Molecules(
        z=z[real],
        pos=pos[real],
        offsets=np.concatenate(([0], np.cumsum(real.sum(axis=1)))).astype(np.int64),
        ids=np.arange(first, first + len(z), dtype=np.int64),
        targets={"energy": energy(z, pos), "dipole": dipole(z, pos)},
    )
