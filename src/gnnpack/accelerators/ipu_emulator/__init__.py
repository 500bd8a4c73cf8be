"""An emulator of PopTorch: what a model, its data and its options do on IPUs, on any computer.

It has PopTorch's names and enforces what an IPU enforces: static shapes, known operations, frozen
options, weights that live on the device. It emulates semantics, not speed, and not the rounding
of float16. Source of the behaviour: PopTorch 3.3 and 3.4.
"""

from __future__ import annotations

from gnnpack.accelerators.ipu_emulator import optim
from gnnpack.accelerators.ipu_emulator.async_accessor import AsynchronousDataAccessor
from gnnpack.accelerators.ipu_emulator.capture import Captured, capture, isRunningOnIpu
from gnnpack.accelerators.ipu_emulator.data_loader import DataLoader
from gnnpack.accelerators.ipu_emulator.device import num_ipus, set_num_ipus
from gnnpack.accelerators.ipu_emulator.enums import (
    AutoStage,
    ConnectionType,
    DataLoaderMode,
    HalfFloatCastingBehavior,
    MeanReductionStrategy,
    OutputMode,
    OverlapMode,
    ReductionType,
    SharingStrategy,
    SyncPattern,
)
from gnnpack.accelerators.ipu_emulator.errors import Error, RecoverableError, UnrecoverableError
from gnnpack.accelerators.ipu_emulator.executor import PoplarExecutor
from gnnpack.accelerators.ipu_emulator.losses import identity_loss
from gnnpack.accelerators.ipu_emulator.memory import Estimate
from gnnpack.accelerators.ipu_emulator.options import Options
from gnnpack.accelerators.ipu_emulator.options_backend import PipelinedExecution, ShardedExecution
from gnnpack.accelerators.ipu_emulator.options_locations import TensorLocationSettings
from gnnpack.accelerators.ipu_emulator.options_text import ConfigFileError
from gnnpack.accelerators.ipu_emulator.overlap import (
    set_overlap_for_input,
    set_overlap_for_output,
)
from gnnpack.accelerators.ipu_emulator.wrappers import (
    inferenceModel,
    ipuHardwareIsAvailable,
    ipuHardwareVersion,
    load,
    memory_estimate,
    trainingModel,
)

__all__ = [
    "AsynchronousDataAccessor",
    "AutoStage",
    "Captured",
    "ConfigFileError",
    "ConnectionType",
    "DataLoader",
    "DataLoaderMode",
    "Error",
    "Estimate",
    "HalfFloatCastingBehavior",
    "MeanReductionStrategy",
    "Options",
    "OutputMode",
    "OverlapMode",
    "PipelinedExecution",
    "PoplarExecutor",
    "RecoverableError",
    "ReductionType",
    "ShardedExecution",
    "SharingStrategy",
    "SyncPattern",
    "TensorLocationSettings",
    "UnrecoverableError",
    "capture",
    "identity_loss",
    "inferenceModel",
    "ipuHardwareIsAvailable",
    "ipuHardwareVersion",
    "isRunningOnIpu",
    "load",
    "memory_estimate",
    "num_ipus",
    "optim",
    "set_num_ipus",
    "set_overlap_for_input",
    "set_overlap_for_output",
    "trainingModel",
]
