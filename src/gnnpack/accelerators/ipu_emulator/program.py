"""What an executor compiles: a traced forward, weights on a device, and their updates."""

from __future__ import annotations

from typing import Any, Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from gnnpack.accelerators.ipu_emulator.arguments import Arguments
from gnnpack.accelerators.ipu_emulator.capture import Captured, capture
from gnnpack.accelerators.ipu_emulator.enums import OutputMode, ReductionType
from gnnpack.accelerators.ipu_emulator.errors import Error
from gnnpack.accelerators.ipu_emulator.micro_batches import (
    Steps,
    enter,
    join,
    leave,
    nonsense,
    restore,
    synthetic,
)
from gnnpack.accelerators.ipu_emulator.options import Options
from gnnpack.accelerators.ipu_emulator.overlap import check_marks
from gnnpack.accelerators.ipu_emulator.structures import tensors_of
from gnnpack.accelerators.ipu_emulator.updates import DeviceUpdates
from gnnpack.accelerators.ipu_emulator.weights import DeviceWeights, host_weights


class Program:
    """A model compiled for the shapes of one call.

    Args:
        module: traced now; its weights are copied to the device.
        optimizer: None in inference.
        arguments: of the first call; its first micro-batch is traced.

    Attributes:
        captured: the traced forward.
        weights: on the device.
        updates: None in inference.
        arguments: what later calls must look like; the tensors have no memory.
        rng_state: of the device's random numbers.

    Raises:
        AssertionError: a tensor that cannot be cut into micro-batches.
        Error: forward cannot be traced, or not with these options.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        optimizer: Optimizer | None,
        options: Options,
        arguments: Arguments,
    ) -> None:
        self._options = options
        self._steps = Steps(
            options.device_iterations,
            options.Training.gradient_accumulation,
            options.replication_factor,
        )
        self._steps.check(arguments)
        self.arguments = arguments.map(_without_memory)
        self.weights = DeviceWeights(module, options.replication_factor)
        self.captured = self._capture(module, arguments, optimizer is not None)
        self.updates: DeviceUpdates | None = None
        if optimizer is not None:
            host = host_weights(module)
            self.updates = DeviceUpdates(optimizer, self.weights.parameters, host)
        seed = options.random_seed if options.exists("random_seed") else torch.initial_seed()
        self.rng_state = torch.Generator().manual_seed(seed).get_state()

    def _capture(self, module: torch.nn.Module, arguments: Arguments, training: bool) -> Captured:
        options = self._options
        first = arguments.map(lambda tensor: enter(self._steps.split(tensor)[0]).clone())
        # The host's random numbers are not the device's.
        with self.weights.in_module() as changed, torch.random.fork_rng(devices=[]):
            captured = capture(module, first.positional, first.keywords, training)
        if changed and options.replication_factor > 1:
            if options.broadcast_buffers:
                raise Error(
                    "PopTorch does not support broadcasting buffers. If your model is able to "
                    "tolerate buffers becoming out of sync between replicas, you can disable "
                    "buffer broadcasting using poptorch.Options.broadcastBuffers(False). Changed "
                    f"in forward: {', '.join(changed)}."
                )
            self.weights.give_replicas_their_own(changed)
        locations = options.TensorLocations
        check_marks(
            captured.marks,
            captured.outputs,
            options._execution_strategy,
            locations.toDict().get("numIOTiles", 0),
            options.output_mode,
        )
        return captured

    def run(self, arguments: Arguments) -> Any:
        """One call: every micro-batch, every update; what forward returns, joined."""
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self.rng_state)
            outputs = self._run([enter(tensor) for tensor in _tensors(arguments)])
            self.rng_state = torch.get_rng_state()
        options = self._options
        mode = OutputMode(options.output_mode)
        joined = join(outputs, self._steps, mode, options.output_return_period)
        if self._synthetic:
            joined = [nonsense(tensor) for tensor in joined]
        return restore(self.captured.output, joined)

    def _run(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        steps, updates, graph = self._steps, self.updates, self.captured.graph_module
        if self._synthetic:
            tensors = [synthetic(tensor) for tensor in tensors]
        elif self.captured.has_writes:
            # forward may write into its inputs; the caller's are not the device's.
            tensors = [tensor.clone() for tensor in tensors]
        parts = [steps.split(tensor) for tensor in tensors]
        reduction = ReductionType(
            self._options.Training.accumulation_and_replication_reduction_type
        )
        outputs: list[list[Tensor]] = []
        for number in range(steps.per_call):
            weights = self.weights.of_replica(number % steps.replication_factor)
            with torch.set_grad_enabled(updates is not None):
                loss, values = graph(*weights, *(part[number] for part in parts))
            outputs.append([leave(value) for value in values])
            if updates is not None:
                updates.add(loss)
                if (number + 1) % steps.per_update == 0:
                    updates.apply(reduction, steps.per_update)
        return outputs

    @property
    def _synthetic(self) -> bool:
        return bool(self._options._Popart.options.get("syntheticDataMode", 0))


def _tensors(arguments: Arguments) -> list[Tensor]:
    return tensors_of([arguments.positional, arguments.keywords])


def _without_memory(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
