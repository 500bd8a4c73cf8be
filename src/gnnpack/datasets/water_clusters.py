"""Made water clusters with the sizes of HydroNet: no files, any number, energies and forces."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Iterator, Mapping, Sequence

import numpy as np

from gnnpack.datasets.dataset import Dataset, Source
from gnnpack.datasets.molecules import Molecules, TargetInfo
from gnnpack.datasets.water_making import make_clusters
from gnnpack.datasets.water_model import WATER_MODELS
from gnnpack.datasets.water_random import keys
from gnnpack.datasets.water_sizes import SUBSETS, DrawnSizes, SubsetSizes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gnnpack.datasets.splits import SplitSpec

_CHUNK = 8192
# Sizes and structures are drawn apart.
_STRUCTURES = 2**32
DEFAULT_MODEL = "q-tip4p-f"


class WaterClusters(Dataset):
    """``num_molecules`` clusters of water molecules, hydrogen-bonded as real ones are.

    Molecule i depends on (``model``, ``seed``, ``subset`` or ``sizes``, i) alone, whatever
    ``num_molecules`` and the number of cores are. Its atoms are O, H, H, O, H, H ... Target
    ``energy`` (eV, sum) is the binding energy of a flexible model in `water_model`, with its forces
    (eV/Å).

    subset: 'small', 'medium' or 'large', the sizes of HydroNet's.
    num_molecules: None makes as many as the subset has.
    sizes: instead of the subset's: [smallest, largest] waters, all equally likely, or a list of
        probabilities, the first for one water.
    model: of water: 'q-tip4p-f' or 'spc-fw'. The oxygens' network is drawn alike for both; its
        relaxation, energy and forces are the model's own.
    ValueError for numbers that make no sense. See docs/water_clusters.md.
    """

    name = "water_clusters"
    has_forces = True
    target_infos: Mapping[str, TargetInfo] = {"energy": TargetInfo("eV", "sum")}

    def __init__(
        self,
        num_molecules: int | None = None,
        subset: str = "medium",
        sizes: Sequence[float] | str | None = None,
        seed: int = 0,
        target: str = "energy",
        split: Mapping[str, object] | SplitSpec | None = None,
        references: str = "none",
        model: str = DEFAULT_MODEL,
    ) -> None:
        split = split or {"train": 0.8, "val": 0.1, "test": None}
        super().__init__(target=target, split=split, references=references)
        if not 0 <= seed < 2**32:
            raise ValueError(f"dataset.seed is {seed}; it must lie between 0 and 2**32 - 1.")
        if model not in WATER_MODELS:
            raise ValueError(
                f"dataset.model is {model!r}; choose one of {', '.join(WATER_MODELS)}."
            )
        self.model, self.subset, self.seed = model, subset, seed
        self.sizes = None if sizes is None else sizes if isinstance(sizes, str) else list(sizes)
        self._sizes = (
            SubsetSizes(subset, seed) if self.sizes is None else DrawnSizes(self.sizes, seed)
        )
        whole = self._sizes.num_clusters
        if num_molecules is None and whole is None:
            raise ValueError(
                "dataset.num_molecules is null, which stands for as many as dataset.subset has; "
                "with dataset.sizes say how many clusters you want."
            )
        wanted = whole if num_molecules is None else num_molecules
        if wanted is None or wanted < 1:
            raise ValueError(f"dataset.num_molecules is {wanted}; it must be at least 1.")
        self.num_molecules = self.expected_molecules = int(wanted)
        if self.num_molecules == whole:
            table = SUBSETS[subset]
            self.expected_atoms = 3 * sum(waters * count for waters, count in table.items())

    @property
    def store_name(self) -> str:
        """'water_clusters-' and a hash of the parameters that shape the clusters."""
        sizes = self.subset if self.sizes is None else self.sizes
        parameters = [self.num_molecules, sizes, self.seed]
        if self.model != DEFAULT_MODEL:
            # Stores that were made before there was a choice keep their names.
            parameters.append(self.model)
        text = json.dumps(parameters)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def source_label(self) -> str:
        """'made, q-TIP4P/F, seed 0'."""
        return f"made, {WATER_MODELS[self.model][0]}, seed {self.seed}"

    def sources(self) -> list[Source]:
        """No files."""
        return []

    def chunks(self) -> Iterator[Molecules]:
        """Molecules in the order of their numbers, 8,192 at a time."""
        for first in range(0, self.num_molecules, _CHUNK):
            numbers = np.arange(first, min(first + _CHUNK, self.num_molecules), dtype=np.int64)
            yield self.clusters(numbers)

    def clusters(self, numbers: ArrayLike, num_threads: int | None = None) -> Molecules:
        """The clusters with these numbers, made on all cores or on ``num_threads`` of them."""
        ids: NDArray[np.int64] = np.asarray(numbers, dtype=np.int64)
        num_waters = self._sizes.of(ids)
        made = make_clusters(
            keys(_STRUCTURES + self.seed, ids),
            num_waters,
            WATER_MODELS[self.model][1],
            num_threads,
        )
        return Molecules(
            z=np.tile(np.array([8, 1, 1], dtype=np.uint8), int(num_waters.sum())),
            pos=made.pos,
            offsets=made.offsets,
            ids=ids,
            targets={"energy": made.energy},
            forces=made.forces,
        )
