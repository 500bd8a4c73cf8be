"""What the figures of packing are made from."""

from __future__ import annotations

from dataclasses import dataclass, field

from gnnpack.bench.settings import default_data_dir
from gnnpack.datasets.size_counts import DISTRIBUTIONS, size_counts


@dataclass(frozen=True)
class PackingSettings:
    """Everything that decides the figures of `packing`.

    Args:
        distributions: of `DISTRIBUTIONS`.
        sweep_to: the largest pack of the curves, in atoms.
        cutoff: Å, of neighbours.
        num_clusters: made clusters to count neighbours in, for each distribution of HydroNet.
        data_dir: where stores lie, which have the positions neighbours are counted from.

    Raises:
        ValueError: an unknown or doubled distribution, a sweep that ends before it begins, a
            cutoff that is not above 0, no clusters.
    """

    distributions: tuple[str, ...] = DISTRIBUTIONS
    sweep_to: int = 260
    cutoff: float = 6.0
    num_clusters: int = 10_000
    data_dir: str = field(default_factory=default_data_dir)

    def __post_init__(self) -> None:
        if not self.distributions or len(set(self.distributions)) < len(self.distributions):
            raise ValueError(
                f"distributions={','.join(self.distributions)}; name each of "
                f"{', '.join(DISTRIBUTIONS)} at most once, and at least one."
            )
        for name in self.distributions:
            largest = int(size_counts(name)[0].max())
            if self.sweep_to < largest:
                raise ValueError(
                    f"sweep_to={self.sweep_to}: {name} has molecules of {largest} atoms, which no "
                    "such pack holds. Raise it, or name other distributions=."
                )
        if not 0 < self.cutoff < float("inf"):
            raise ValueError(f"cutoff={self.cutoff:g} Å; it must be above 0.")
        if self.num_clusters < 1:
            raise ValueError(f"num_clusters={self.num_clusters}; it must be at least 1.")
