"""``Options``: how a model is compiled and run.

Names, defaults and checks are those of PopTorch 3.4's ``options.py``. What only hardware shows
(profiles, sync patterns, half-precision rounding) is kept and changes nothing here.
"""

from __future__ import annotations

import copy
import os
from typing import Any, Mapping

import torch

from gnnpack.accelerators.ipu_emulator.enums import ConnectionType, OutputMode, SyncPattern
from gnnpack.accelerators.ipu_emulator.option_values import OptionValues
from gnnpack.accelerators.ipu_emulator.options_backend import PipelinedExecution, PopartOptions
from gnnpack.accelerators.ipu_emulator.options_distributed import DistributedOptions
from gnnpack.accelerators.ipu_emulator.options_locations import TensorLocations
from gnnpack.accelerators.ipu_emulator.options_precision import PrecisionOptions
from gnnpack.accelerators.ipu_emulator.options_text import apply_environment, apply_file
from gnnpack.accelerators.ipu_emulator.options_training import TrainingOptions

# PopART's numbers for what feeds a model: data, zeros, or random normal numbers.
SYNTHETIC_DATA_OFF, SYNTHETIC_DATA_RANDOM_NORMAL = 0, 2
NOT_EMULATED = {"anchorTensor", "inputReplicaGrouping", "updatableNamedBuffers"}


class Options(OptionValues):
    """All options of one executor or loader; setters return the options, so they chain.

    Read back in snake case: ``device_iterations``, ``replication_factor``,
    ``Training.gradient_accumulation``, ``output_mode`` and ``output_return_period``,
    ``connection_type``, ``available_memory_proportion``. Modes are kept as whole numbers, like
    PopTorch's; they compare equal to the enumerations.

    The environment is read in each constructor: POPTORCH_CACHE_DIR, and POPTORCH_DEFAULT_OPTIONS as
    JSON, ``{"deviceIterations": 4, "_Popart.set": ["key", 1]}``.

    Raises:
        AttributeError: changed after a loader or model took them ("Can't modify frozen Options").
        AssertionError: a value of a wrong type ("Unexpected type").
    """

    def __init__(self) -> None:
        super().__init__(
            replication_factor=1,
            broadcast_buffers=True,
            device_iterations=1,
            log_dir=".",
            auto_round_num_ipus=False,
            output_mode=OutputMode.Default.value,
            output_return_period=1,
            connection_type=ConnectionType.Always.value,
            sync_pattern=SyncPattern.Full.value,
            available_memory_proportion={},
        )
        self._popart = PopartOptions()
        self._precision = PrecisionOptions(self._popart)
        self._training = TrainingOptions(self._popart)
        self._distributed = DistributedOptions()
        self._tensor_locations = TensorLocations()
        self._execution_strategy = PipelinedExecution()
        self._relax_optimizer_checks = False
        cache = os.environ.get("POPTORCH_CACHE_DIR", "")
        if cache:
            self.enableExecutableCaching(cache)
        apply_environment(self, os.environ.get("POPTORCH_DEFAULT_OPTIONS", ""))

    # --- groups ---

    @property
    def Training(self) -> TrainingOptions:
        """Options of training alone."""
        return self._training

    @property
    def Precision(self) -> PrecisionOptions:
        """Types the IPU computes in."""
        return self._precision

    @property
    def TensorLocations(self) -> TensorLocations:
        """What lives on the IPU."""
        return self._tensor_locations

    @property
    def Distributed(self) -> DistributedOptions:
        """Several processes."""
        return self._distributed

    @property
    def _Popart(self) -> PopartOptions:
        return self._popart

    # --- the loop ---

    def deviceIterations(self, device_iterations: int) -> Options:
        """Updates (training) or forward passes (inference) of one call."""
        return self._put(device_iterations=device_iterations)

    def replicationFactor(self, replication_factor: int) -> Options:
        """Copies of the model, each on its own IPU."""
        return self._put(replication_factor=replication_factor)

    def outputMode(
        self, output_mode: OutputMode, output_return_period: int | None = None
    ) -> Options:
        """Which micro-batches' outputs a call returns; EveryN needs its period."""
        assert isinstance(output_mode, OutputMode), (
            f"output_mode is {output_mode!r}; it is a poptorch.OutputMode"
        )
        needs = output_mode == OutputMode.EveryN
        assert not needs or (output_return_period and output_return_period > 0), (
            "EveryN output mode must have output_return_period set to a valid positive integer"
        )
        return self._put(
            output_mode=output_mode.value, output_return_period=output_return_period or 1
        )

    def defaultOutputMode(self) -> bool:
        """Whether nobody has chosen an output mode yet."""
        return bool(self.output_mode == OutputMode.Default)

    def broadcastBuffers(self, broadcast_buffers: bool = True) -> Options:
        """Ask that replicas share their buffers, which PopTorch cannot; False: each has its own."""
        return self._put(broadcast_buffers=broadcast_buffers)

    def randomSeed(self, random_seed: int) -> Options:
        """Seed the IPU's random numbers, and torch's."""
        assert isinstance(random_seed, int), f"random_seed is {random_seed!r}; it is a whole number"
        torch.manual_seed(random_seed)
        return self._create(random_seed=random_seed)

    def enableSyntheticData(self, enabled: bool) -> Options:
        """Compute on random numbers made on the IPU: no host I/O, no meaningful output."""
        mode = SYNTHETIC_DATA_RANDOM_NORMAL if enabled else SYNTHETIC_DATA_OFF
        return self._backend("syntheticDataMode", mode)

    # --- devices ---

    def connectionType(self, connection_type: ConnectionType) -> Options:
        """When to attach to the IPUs."""
        assert isinstance(connection_type, ConnectionType), (
            f"connection_type is {connection_type!r}; it is a poptorch.ConnectionType"
        )
        return self._put(connection_type=connection_type.value)

    def useOfflineIpuTarget(self, ipu_version: int = 2) -> Options:
        """Compile for an IPU that is not there: 2 = Mk2, 21 = Bow."""
        return self.connectionType(ConnectionType.Never)._create(ipu_version=ipu_version)

    def useIpuModel(self, use_model: bool) -> Options:
        """Poplar's own simulator instead of an IPU; here nothing changes."""
        return self._create(use_model=use_model)

    def useIpuId(self, ipu_id: int) -> Options:
        """The device with this number."""
        assert isinstance(ipu_id, int), f"ipu_id is {ipu_id!r}; it is a whole number"
        return self._create(ipu_id=ipu_id)

    def autoRoundNumIPUs(self, auto_round_num_ipus: bool = True) -> Options:
        """Take a power of two of IPUs where fewer are needed."""
        return self._put(auto_round_num_ipus=auto_round_num_ipus)

    def syncPattern(self, sync_pattern: SyncPattern) -> Options:
        """Which IPUs wait for each other."""
        assert isinstance(sync_pattern, SyncPattern), (
            f"sync_pattern is {sync_pattern!r}; it is a poptorch.SyncPattern"
        )
        return self._put(sync_pattern=sync_pattern.value)

    def setExecutionStrategy(self, strategy: PipelinedExecution) -> Options:
        """How a model is laid over IPUs."""
        assert isinstance(strategy, PipelinedExecution), (
            f"strategy is {strategy!r}; it is a poptorch.PipelinedExecution or ShardedExecution"
        )
        self._execution_strategy = strategy
        return self

    def setAvailableMemoryProportion(
        self, available_memory_proportion: Mapping[str, float]
    ) -> Options:
        """Share of an IPU's memory that matrix products may use for a while: ``{"IPU0": 0.2}``.

        The number counts the IPUs of one replica. Read back as ``{0: 0.2}``.
        """
        by_ipu = {}
        for key, proportion in available_memory_proportion.items():
            assert key.startswith("IPU"), (
                "Available memory proportions are expected to be in a dictionary of "
                f'{{"IPU0": 0.5}} where the 0 in IPU is the index of the IPU. Invalid key: {key}'
            )
            by_ipu[int(key[3:])] = proportion
        return self._put(available_memory_proportion=by_ipu)

    # --- the compiler ---

    def enableExecutableCaching(self, path: str | None) -> Options:
        """Keep compiled graphs in a folder; None keeps none."""
        if path is not None:
            self._backend("cachePath", path)
        return self._backend("enableEngineCaching", path is not None)

    def enableStableNorm(self, enabled: bool) -> Options:
        """Slower, more accurate norms."""
        return self._backend("enableStableNorm", enabled)

    def logCycleCount(self, log_cycle_count: bool) -> Options:
        """Count the IPU's cycles; on hardware."""
        return self._backend("instrumentWithHardwareCycleCounter", log_cycle_count)

    def enableProfiling(self, profile_dir: str | None = None) -> Options:
        """Write Poplar's profile; on hardware."""
        engine = dict(self._popart.options.get("engineOptions", {}))
        engine.update(
            {
                "debug.allowOutOfMemory": "true",
                "autoReport.directory": profile_dir or ".",
                "autoReport.all": "true",
            }
        )
        self._popart.setEngineOptions(engine)
        return self

    def logDir(self, log_dir: str) -> Options:
        """Where PopTorch writes its logs."""
        return self._put(log_dir=log_dir)

    def modelName(self, name: str) -> Options:
        """Name of the model in profiles."""
        return self._create(model_name=name)

    def showCompilationProgressBar(self, show: bool = True) -> Options:
        """The emulator shows none."""
        self.checkIsFrozen()
        return self

    def disableModuleNamescope(self) -> Options:
        """The emulator names no scopes."""
        self.checkIsFrozen()
        return self

    def relaxOptimizerAttributesChecks(self, relax: bool = True) -> Options:
        """Say nothing of optimizer attributes an IPU ignores."""
        self._relax_optimizer_checks = relax
        return self

    # --- the whole ---

    def loadFromFile(self, filepath: str) -> Options:
        """Apply a file that holds one setter a line, without ``options.`` before it."""
        apply_file(self, filepath)
        return self

    def clone(self) -> Options:
        """An unfrozen deep copy."""
        return copy.deepcopy(self)

    def toDict(self) -> dict[str, Any]:
        """Everything that goes to the compiler, in one dict."""
        assert not self.defaultOutputMode(), "An output mode must be picked before serialisation"
        groups = (self._training, self._distributed, self._tensor_locations)
        merged = {**self._execution_strategy.backendOptions(), **self._popart.options}
        for values in (super().toDict(), *(group.toDict() for group in groups)):
            merged.update(values)
        return merged

    def _put(self, **changes: Any) -> Options:
        self.set(**changes)
        return self

    def _create(self, **changes: Any) -> Options:
        self.createOrSet(**changes)
        return self

    def _backend(self, key: str, value: Any) -> Options:
        self._popart.set(key, value)
        return self

    def __getattr__(self, name: str) -> Any:
        if name in NOT_EMULATED:
            raise AttributeError(
                f"Options.{name} is PopTorch's, but the emulator has no use for it: models here "
                "run on one IPU each, with the same data grouping for all replicas. Leave it out."
            )
        return super().__getattr__(name)

    def __repr__(self) -> str:
        groups = {
            "Training": self._training,
            "Precision": self._precision,
            "TensorLocations": self._tensor_locations,
            "Distributed": self._distributed,
            "_Popart": self._popart,
        }
        return (
            f"{super().__repr__()[:-1]}, "
            f"{', '.join(f'{name}={group!r}' for name, group in groups.items())})"
        )
