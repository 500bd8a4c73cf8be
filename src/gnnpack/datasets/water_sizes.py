"""How many waters each cluster has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

import numpy as np

from gnnpack.datasets.size_counts import HYDRONET_2_7M, HYDRONET_4_5M, HYDRONET_500K
from gnnpack.datasets.synthetic_sizes import size_probabilities
from gnnpack.datasets.water_model import MOST_WATERS
from gnnpack.datasets.water_random import keys, shuffled, unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUBSETS = {"small": HYDRONET_500K, "medium": HYDRONET_2_7M, "large": HYDRONET_4_5M}


class SubsetSizes:
    """Sizes of one of HydroNet's subsets, dealt in an order drawn by ``seed``.

    The first ``num_clusters`` have each size exactly as often as it was published, so packing
    figures are those of the real data; after them the order begins anew. Fewer are a sample.

    >>> sizes = SubsetSizes("small", seed=0)
    >>> int((sizes.of(np.arange(500_000)) == 25).sum())
    88806
    """

    def __init__(self, subset: str, seed: int) -> None:
        if subset not in SUBSETS:
            raise ValueError(
                f"dataset.subset is {subset!r}; choose one of {', '.join(SUBSETS)}, or leave it "
                "and give dataset.sizes."
            )
        table = SUBSETS[subset]
        self._waters = np.array(sorted(table), dtype=np.int64)
        self._ends = np.cumsum([table[waters] for waters in sorted(table)])
        self._seed = seed
        self.num_clusters = int(self._ends[-1])

    def of(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Waters of the clusters with these numbers, (M,) int64."""
        places = shuffled(numbers % self.num_clusters, self.num_clusters, self._seed)
        return self._waters[np.searchsorted(self._ends, places, side="right")]


class DrawnSizes:
    """Each cluster's size drawn on its own; ``sizes`` as in `size_probabilities`, in waters.

    ValueError for sizes that make no sense or exceed `MOST_WATERS`.
    """

    num_clusters: int | None = None

    def __init__(self, sizes: Sequence[float] | str, seed: int) -> None:
        if isinstance(sizes, (str, int, float)):
            raise ValueError(
                f"dataset.sizes is {sizes!r}; give [smallest, largest] waters or a list of "
                "probabilities. HydroNet's sizes are dataset.subset=small, medium or large."
            )
        probabilities = size_probabilities(sizes)
        if len(probabilities) - 1 > MOST_WATERS:
            raise ValueError(
                f"dataset.sizes allows clusters of {len(probabilities) - 1} waters, but at most "
                f"{MOST_WATERS} can be made."
            )
        self._edges = np.cumsum(probabilities) / probabilities.sum()
        self._seed = seed

    def of(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Waters of the clusters with these numbers, (M,) int64."""
        drawn = unit(keys(self._seed, numbers))
        largest = len(self._edges) - 1
        return np.minimum(np.searchsorted(self._edges, drawn, side="right"), largest)
