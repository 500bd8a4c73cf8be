"""What the overview measures."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field

DATASETS = ("qm9", "synthetic")
# In the order they are measured.
SECTIONS = (
    "machine",
    "store",
    "plan",
    "batch",
    "input",
    "neighbours",
    "filter_error",
    "convolution",
    "step_parts",
    "train_step",
    "metering",
    "train_run",
)


def default_data_dir() -> str:
    """``$GNNPACK_DATA``, else ``data``: the folder training uses."""
    return os.environ.get("GNNPACK_DATA", "data")


@dataclass(frozen=True)
class OverviewSettings:
    """Everything that decides what the overview measures; the network is arXiv 2211.13853's.

    Args:
        dataset: ``qm9`` or ``synthetic``; None = QM9 where it is, else synthetic.
        num_molecules: of ``synthetic`` alone; None = 2,000.
        batch_size: molecules of an update; every size has its tables of training, the first one
            those of batches, neighbours and convolution.
        repeats: timed repeats of every row; at most 3 of whole training runs.
        run_molecules: training molecules that count in a whole run; slow rows count a quarter.
        sections: of `SECTIONS`, what to measure.
        cutoff: Å.
        lr: of AdamW, constant.

    Raises:
        ValueError: a number that makes no sense, an unknown data set.
    """

    dataset: str | None = None
    num_molecules: int | None = None
    batch_size: tuple[int, ...] = (256, 64)
    repeats: int = 7
    run_molecules: int = 15_360
    sections: tuple[str, ...] = SECTIONS
    data_dir: str = field(default_factory=default_data_dir)
    seed: int = 0
    cutoff: float = 6.0
    hidden_channels: int = 100
    num_interactions: int = 4
    num_gaussians: int = 25
    lr: float = 1e-3

    def __post_init__(self) -> None:
        if self.dataset is not None and self.dataset not in DATASETS:
            raise ValueError(f"dataset={self.dataset}; choose one of {', '.join(DATASETS)}.")
        if self.num_molecules is not None and self.dataset != "synthetic":
            raise ValueError(
                f"num_molecules={self.num_molecules} is for made molecules alone. Add "
                "dataset=synthetic, or leave num_molecules out."
            )
        # 10, so that the made molecules' split of 80, 10 and 10 % leaves some in each part.
        least = {"num_molecules": 10, "repeats": 1, "run_molecules": 1}
        for name, smallest in least.items():
            value = getattr(self, name)
            if value is not None and value < smallest:
                raise ValueError(f"{name}={value}; it must be at least {smallest}.")
        sizes = ",".join(map(str, self.batch_size))
        if not self.batch_size or len(set(self.batch_size)) < len(self.batch_size):
            raise ValueError(f"batch_size={sizes}; name each size once, and at least one.")
        if min(self.batch_size) < 1:
            raise ValueError(f"batch_size={sizes}; it must be at least 1.")
        unknown = [name for name in self.sections if name not in SECTIONS]
        if unknown or not self.sections:
            raise ValueError(
                f"sections={','.join(self.sections)}; name some of {', '.join(SECTIONS)}."
            )
        if not (self.lr > 0 and math.isfinite(self.lr)):
            raise ValueError(f"lr={self.lr}; it must be above 0.")
