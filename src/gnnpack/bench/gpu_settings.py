"""What `gnnpack bench gpu` measures, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple, Sequence

from gnnpack.bench.settings import default_data_dir

# Trains once: overrides as typed after `gnnpack train`, and the run's folder -> its summary. Given
# by the command, because only that room and `run` know Hydra.
Train = Callable[[Sequence[str], str], "dict[str, Any]"]


class KernelCase(NamedTuple):
    """One setting of the kernels."""

    channels: int
    slots: int  # of a pack
    knots: int
    order: str
    storage: str = "float32"  # what the convolution reads and writes


class BlockCase(NamedTuple):
    """One interaction block; ``neighbours`` of every atom: molecules of one more, all near."""

    atoms: int
    channels: int
    neighbours: int


class EpochCase(NamedTuple):
    """One training run of some epochs."""

    batch_size: int
    iterations: int  # updates a call
    precision: str  # of PRECISIONS


# The arguments of accelerator=gpu that each stands for.
PRECISIONS = {
    "float32": ("accelerator.tf32=false", "accelerator.precision=32-true"),
    "tf32": ("accelerator.tf32=true", "accelerator.precision=32-true"),
    "bf16": ("accelerator.tf32=true", "accelerator.precision=bf16-mixed"),
}

_BASE = KernelCase(100, 64, 128, "cubic")
_BATCHES = (128, 4096, 1024, 256)


@dataclass(frozen=True)
class GPUSizes:
    """How much each step does; the defaults take a GPU under nine minutes together."""

    copy_bytes: int = 1 << 30
    cache_bytes: int = 1 << 23
    products: tuple[tuple[int, int], ...] = ((65_536, 100), (65_536, 128), (8_192, 8_192))
    kernel_molecules: int = 1024
    kernel_largest: int = 29  # atoms of the largest of them
    kernels: tuple[KernelCase, ...] = (
        _BASE,
        *(_BASE._replace(slots=slots) for slots in (36, 128, 256)),
        *(_BASE._replace(channels=channels) for channels in (128, 512)),
        _BASE._replace(knots=256),
        *(_BASE._replace(knots=knots, order="linear") for knots in (512, 2048)),
        _BASE._replace(storage="bfloat16"),
    )
    blocks: tuple[BlockCase, ...] = (
        BlockCase(256, 128, 16),
        BlockCase(4096, 128, 8),
        BlockCase(4096, 512, 8),
    )
    # The most wanted first: what is left when the time is up is left for the next call.
    epochs: tuple[EpochCase, ...] = (
        *(EpochCase(batch, 32, "tf32") for batch in _BATCHES),
        *(EpochCase(batch, 32, "bf16") for batch in _BATCHES),
        *(EpochCase(batch, 32, "float32") for batch in _BATCHES),
        *(EpochCase(batch, n, "tf32") for n in (8, 1) for batch in _BATCHES),
    )
    pyg_batch: int = 256
    clusters: int = 100_000
    cluster_batch: int = 512
    cluster_epochs: int = 3
    all_clusters: int = 3_571_792
    learning_batch: int = 128
    learning_seconds: float = 170.0
    hidden_channels: int = 100
    num_interactions: int = 4
    num_gaussians: int = 25
    cutoff: float = 6.0  # Å


TOY = GPUSizes(
    copy_bytes=1 << 12,
    cache_bytes=1 << 10,
    products=((32, 8),),
    kernel_molecules=3,
    kernel_largest=7,
    kernels=(KernelCase(8, 12, 16, "cubic"), KernelCase(6, 12, 16, "linear", "float16")),
    blocks=(BlockCase(9, 8, 2),),
    epochs=(EpochCase(8, 2, "tf32"), EpochCase(16, 1, "bf16")),
    pyg_batch=8,
    clusters=12,
    cluster_batch=4,
    cluster_epochs=2,
    all_clusters=20,
    learning_batch=8,
    learning_seconds=0.5,
    hidden_channels=8,
    num_interactions=1,
    num_gaussians=5,
    cutoff=3.0,
)
"""Sizes at which every step runs in seconds on a CPU: what the tests exercise."""


@dataclass(frozen=True)
class GPUSettings:
    """Arguments of `gnnpack bench gpu`.

    Args:
        dataset: what trains: ``qm9`` or ``synthetic`` (made molecules; no claim about QM9).
        name: of the file of lines; one file a device and commit.
        out: folder of the lines, the report and the runs.
        seconds: no step begins that would end later; it is left for the next call.
        retry: run steps again whose line is an error.
        repeats: timed repeats, of which the median counts.
        device: ``cuda``; ``cpu`` runs the steps at toy sizes and measures nothing.
    """

    dataset: str = "qm9"
    name: str = "bench"
    out: str = "outputs/bench/gpu"
    seconds: float = 530.0
    retry: bool = True
    repeats: int = 50
    data_dir: str = field(default_factory=default_data_dir)
    device: str = "cuda"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.dataset not in ("qm9", "synthetic"):
            raise ValueError(f"dataset={self.dataset}; choose qm9 or synthetic.")
        if self.device not in ("cuda", "cpu"):
            raise ValueError(f"device={self.device}; this benchmark is of cuda.")
        if self.repeats < 1:
            raise ValueError(f"repeats={self.repeats}; a measurement needs at least 1.")
        if not self.seconds > 0:
            raise ValueError(f"seconds={self.seconds}; it must be above 0, e.g. 530.")

    @property
    def sizes(self) -> GPUSizes:
        """Full on a GPU."""
        return TOY if self.device == "cpu" else GPUSizes()
