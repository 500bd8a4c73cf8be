"""What the benchmark of packers measures."""

from __future__ import annotations

from dataclasses import dataclass, field

from gnnpack.bench.settings import default_data_dir
from gnnpack.datasets.size_counts import DISTRIBUTIONS, size_counts

# Those that Helal et al. (arXiv 2211.13853) publish figures or configurations of, the smallest
# that the LP proves more than 99.9 % full, and larger ones.
PACK_SIZES = {
    "qm9": (36, 54, 72, 128, 256),
    "hydronet_500k": (192, 195, 384),
    "hydronet_2.7m": (192, 195, 300, 384),
    "hydronet_4.5m": (153, 154, 213, 225),
}
# Near multiples of QM9's mean size, so that atoms and pairs run out together.
PAIR_LIMIT_SIZES = (54, 72, 126, 144)
CUTOFFS = (5.0, 6.0)  # Å
# Pairs a pack holds, over the mean pairs of as many atoms.
PAIR_SLACK = 1.001


@dataclass(frozen=True)
class PackersSettings:
    """Everything that decides what the benchmark of packers measures.

    Args:
        distributions: of `DISTRIBUTIONS`.
        sizes: atoms of a pack, for every distribution; None = `PACK_SIZES` of each.
        num_molecules: of each distribution, drawn by seed; None = all.
        repeats: timed repeats of every row.
        sweep_to: the largest pack of the sweep, in atoms.
        data_dir: where the store of QM9 is looked for, which has the pairs.

    Raises:
        ValueError: an unknown distribution, a pack that does not hold its largest molecule.
    """

    distributions: tuple[str, ...] = DISTRIBUTIONS
    sizes: tuple[int, ...] | None = None
    num_molecules: int | None = None
    repeats: int = 5
    sweep_to: int = 512
    data_dir: str = field(default_factory=default_data_dir)
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.distributions or len(set(self.distributions)) < len(self.distributions):
            raise ValueError(
                f"distributions={','.join(self.distributions)}; name each of "
                f"{', '.join(DISTRIBUTIONS)} at most once, and at least one."
            )
        if self.sizes is not None and len(set(self.sizes)) != len(self.sizes):
            raise ValueError(f"sizes={','.join(map(str, self.sizes))}; name each size once.")
        # Below two molecules no pack can hold any two.
        least = {"num_molecules": 2, "repeats": 1, "sweep_to": 1, "seed": 0}
        for name, smallest in least.items():
            value = getattr(self, name)
            if value is not None and value < smallest:
                raise ValueError(f"{name}={value}; it must be at least {smallest}.")
        for name in self.distributions:
            largest = int(size_counts(name)[0].max())
            too_small = [size for size in self.pack_sizes(name) if size < largest]
            if too_small:
                raise ValueError(
                    f"sizes={too_small[0]}: {name} has molecules of {largest} atoms, which no "
                    "such pack holds. Raise it, or name other distributions=."
                )

    def pack_sizes(self, distribution: str) -> tuple[int, ...]:
        """Atoms of the packs to measure it in."""
        return PACK_SIZES[distribution] if self.sizes is None else self.sizes

    @property
    def pair_limit_sizes(self) -> tuple[int, ...]:
        """Atoms of the packs to measure in that are limited in pairs as well."""
        return PAIR_LIMIT_SIZES if self.sizes is None else self.sizes
