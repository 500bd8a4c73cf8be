"""What a user decides about an IPU run, and PopTorch's options made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OUTPUT_MODES = {"all": "All", "final": "Final", "sum": "Sum"}
CONNECTIONS = {"always": "Always", "on_demand": "OnDemand", "never": "Never"}
IPU_PRECISIONS = ("float32", "float16")

MOST_REPLICAS = 64
"""IPUs of one process."""

IPU_VERSION = 2
"""Mk2 and Bow, what is compiled for where no IPU is there."""

# PopART's AccumulateOuterFragmentSchedule.OverlapCycleOptimized.
OVERLAP_CYCLE_OPTIMIZED = 2


@dataclass(frozen=True)
class IPUSettings:
    """The keys of conf/accelerator/ipu.yaml.

    Args:
        replicas: IPUs, each with a copy of the network and its own share of every update.
        gradient_accumulation: micro-batches a replica works through for one update.
        device_iterations: updates a call.
        micro_batch: packs a replica works on at once; None = as batch_size asks.
        output_mode: which losses come back: ``all`` (one a micro-batch), ``final`` (of the last
            micro-batches alone), ``sum`` (their sum on each replica).
        available_memory_proportion: part of a tile's memory a product may take for a while.
        prefetch_depth: calls' worth of buffers between host and IPU; 0 = PopTorch's own.
        num_io_tiles: tiles set apart for input and output that overlap the updates; 0 = none,
            else an even number from 32 to 192.
        merge_collectives: let PopART merge the replicas' all-reduces.
        synthetic_data: random numbers made on the IPU instead of the data set: speed alone.
        executable_cache: a folder for compiled programs.
        precision: ``float32``, or ``float16`` for weights and features.
        loss_scaling: factor that keeps float16 gradients from vanishing.
        connection: ``always`` and ``on_demand`` attach to IPUs; ``never`` compiles and stops.
        max_grad_norm: gradients above this norm are scaled down to it; None = never.

    Raises:
        ValueError: naming the key, its value and the cure.
    """

    replicas: int = 1
    gradient_accumulation: int = 1
    device_iterations: int = 1
    micro_batch: int | None = None
    output_mode: str = "all"
    available_memory_proportion: float | None = None
    prefetch_depth: int = 3
    num_io_tiles: int = 0
    merge_collectives: bool = True
    synthetic_data: bool = False
    executable_cache: str | None = None
    precision: str = "float32"
    loss_scaling: float = 1.0
    connection: str = "always"
    max_grad_norm: float | None = None
    num_workers: int = 0

    def __post_init__(self) -> None:
        for key in ("replicas", "gradient_accumulation", "device_iterations", "micro_batch"):
            _check_whole(key, getattr(self, key), 1, optional=key == "micro_batch")
        for key in ("prefetch_depth", "num_workers"):
            _check_whole(key, getattr(self, key), 0)
        for key, known in (
            ("output_mode", OUTPUT_MODES),
            ("connection", CONNECTIONS),
            ("precision", IPU_PRECISIONS),
        ):
            if getattr(self, key) not in known:
                raise _refusal(key, getattr(self, key), f"choose one of {', '.join(known)}")
        if self.replicas > MOST_REPLICAS or self.replicas & (self.replicas - 1):
            cure = f"IPUs are taken in powers of two: 1, 2, 4 ... {MOST_REPLICAS}"
            raise _refusal("replicas", self.replicas, cure)
        share, tiles, norm = self.available_memory_proportion, self.num_io_tiles, self.max_grad_norm
        if share is not None and not 0 < share <= 1:
            raise _refusal("available_memory_proportion", share, "use a part of 1, e.g. 0.6")
        if tiles != 0 and (tiles not in range(32, 193) or tiles % 2):
            raise _refusal("num_io_tiles", tiles, "use 0 (none), or an even number from 32 to 192")
        if tiles and self.output_mode == "final":
            raise _refusal("num_io_tiles", tiles, "overlap needs output_mode=all or sum")
        if norm is not None and not norm > 0:
            raise _refusal("max_grad_norm", norm, "use a norm above 0, or null")
        if not self.loss_scaling > 0:
            raise _refusal("loss_scaling", self.loss_scaling, "use a factor above 0; 1 is none")
        if self.loss_scaling != 1 and self.precision == "float32":
            raise _refusal("loss_scaling", self.loss_scaling, "it is for precision=float16")
        if self.connection == "never" and self.executable_cache is None:
            raise _refusal(
                "connection", "never", "set executable_cache, the folder the program is kept in"
            )

    @property
    def micro_batches(self) -> int:
        """Micro-batches of an update, on all replicas."""
        return self.gradient_accumulation * self.replicas

    def combined(self, micro_batch: int) -> str:
        """What a call takes, in words.

        >>> IPUSettings(replicas=16, gradient_accumulation=2, device_iterations=4).combined(16)
        '16 packs x 16 replicas x 2 accumulated x 4 device iterations = 2,048 packs a call'
        """
        packs = micro_batch * self.micro_batches * self.device_iterations
        return (
            f"{micro_batch:,} packs x {self.replicas} replicas x {self.gradient_accumulation} "
            f"accumulated x {self.device_iterations} device iterations = {packs:,} packs a call"
        )


def training_options(poptorch: Any, settings: IPUSettings) -> Any:
    """`poptorch.Options` of the training program."""
    options = _options(poptorch, settings)
    options.Training.gradientAccumulation(settings.gradient_accumulation)
    options.outputMode(getattr(poptorch.OutputMode, OUTPUT_MODES[settings.output_mode]))
    options.enableSyntheticData(settings.synthetic_data)
    if settings.num_io_tiles:
        options.TensorLocations.numIOTiles(settings.num_io_tiles)
        options.setExecutionStrategy(poptorch.ShardedExecution())
    if settings.merge_collectives:
        backend = options._Popart
        backend.set("accumulateOuterFragmentSettings.schedule", OVERLAP_CYCLE_OPTIMIZED)
        merging = "replicatedCollectivesSettings"
        backend.set(f"{merging}.prepareScheduleForMergingCollectives", True)
        backend.set(f"{merging}.mergeAllReduceCollectives", True)
    return options


def evaluation_options(poptorch: Any, settings: IPUSettings) -> Any:
    """`poptorch.Options` of the program that predicts: real data, every output, no accumulation."""
    options = _options(poptorch, settings)
    options.outputMode(poptorch.OutputMode.All)
    return options


def _options(poptorch: Any, settings: IPUSettings) -> Any:
    options = poptorch.Options()
    options.deviceIterations(settings.device_iterations)
    options.replicationFactor(settings.replicas)
    if settings.available_memory_proportion is not None:
        # IPUs are counted inside a replica, and ours have one.
        options.setAvailableMemoryProportion({"IPU0": float(settings.available_memory_proportion)})
    if settings.prefetch_depth:
        options._Popart.set("defaultBufferingDepth", settings.prefetch_depth)
    if settings.executable_cache is not None:
        options.enableExecutableCaching(str(settings.executable_cache))
    if settings.connection == "never":
        options.useOfflineIpuTarget(IPU_VERSION)
    else:
        options.connectionType(getattr(poptorch.ConnectionType, CONNECTIONS[settings.connection]))
    return options


def _check_whole(key: str, value: Any, least: int, *, optional: bool = False) -> None:
    if optional and value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        words = f"a whole number, {least} or more" + (", or null" if optional else "")
        raise _refusal(key, value, f"it must be {words}")


def _refusal(key: str, value: Any, cure: str) -> ValueError:
    return ValueError(f"accelerator.{key} is {value!r}; {cure}.")
