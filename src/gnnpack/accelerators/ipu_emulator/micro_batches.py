"""A call's tensors to micro-batches and back.

Along dimension 0 they lie as [device iterations][accumulation][replicas][micro-batch], inputs and
outputs alike: the order of PopART's buffers.
"""

from __future__ import annotations

import logging
from typing import Any, Iterator, NamedTuple, Sequence

import torch
from torch import Tensor

from gnnpack.accelerators.ipu_emulator.arguments import Arguments
from gnnpack.accelerators.ipu_emulator.enums import OutputMode
from gnnpack.accelerators.ipu_emulator.structures import map_tensors

log = logging.getLogger(__name__)

# An IPU has no 64-bit types, and PopTorch no bfloat16.
NARROWED = {
    torch.int64: torch.int32,
    torch.float64: torch.float32,
    torch.bfloat16: torch.float32,
}
_told: set[torch.dtype] = set()


class Steps(NamedTuple):
    """How a call is cut.

    Attributes:
        device_iterations, gradient_accumulation, replication_factor: PopTorch's.
    """

    device_iterations: int
    gradient_accumulation: int
    replication_factor: int

    @property
    def per_update(self) -> int:
        """Micro-batches of one update."""
        return self.gradient_accumulation * self.replication_factor

    @property
    def per_call(self) -> int:
        """Micro-batches of one call."""
        return self.device_iterations * self.per_update

    def check(self, arguments: Arguments) -> None:
        """AssertionError where a tensor cannot be cut into this many equal parts."""
        arguments.map(self._check)

    def _check(self, tensor: Tensor) -> Tensor:
        rows = tensor.shape[0] if tensor.dim() else 1
        assert rows % self.per_call == 0, (
            f"Invalid batch dimension: In the input {tensor.shape}, the batch dimension ({rows}) "
            "must be a multiple of "
            f"Options.deviceIterations({self.device_iterations}) * "
            f"Options.replicationFactor({self.replication_factor}) * "
            f"Options.Training.gradientAccumulation({self.gradient_accumulation}) = "
            f"{self.per_call} because it is used to calculate the batch size which will be "
            "executed on the device in any given iteration."
        )
        return tensor

    def split(self, tensor: Tensor) -> Sequence[Tensor]:
        """The parts of the micro-batches, in order."""
        if self.per_call == 1:
            return [tensor]
        return torch.split(tensor, tensor.shape[0] // self.per_call)


def enter(tensor: Tensor) -> Tensor:
    """A tensor as an IPU gets it: 32 bits.

    Whole numbers beyond 32 bits wrap. They are int64 again inside, since torch's index operations
    on a CPU take nothing else; what a model computes with them wraps on an IPU, but not here.
    """
    narrow = NARROWED.get(tensor.dtype)
    if narrow is None:
        return tensor
    _tell(tensor.dtype, narrow)
    kept = tensor.to(narrow)
    return kept.to(torch.int64) if tensor.dtype == torch.int64 else kept


def leave(tensor: Tensor) -> Tensor:
    """A result as it comes from an IPU: 32 bits, a copy, without a history."""
    return tensor.detach().to(NARROWED.get(tensor.dtype, tensor.dtype), copy=True)


def _tell(dtype: torch.dtype, narrow: torch.dtype) -> None:
    if dtype not in _told:
        _told.add(dtype)
        log.warning("%s is not supported on an IPU: values become %s.", dtype, narrow)


def join(
    outputs: Sequence[Sequence[Tensor]], steps: Steps, mode: OutputMode, period: int
) -> list[Tensor]:
    """What a call returns, from each micro-batch's outputs in order.

    All: every micro-batch. Final: the last of each replica. EveryN: those of every ``period``-th
    step, a step being one micro-batch on each replica; how hardware counts them under accumulation
    is not documented. Sum: each replica's sum, not divided. A scalar counts as one row; it stays
    0-d where there is but one.
    """
    width = steps.replication_factor
    by_step = [outputs[start : start + width] for start in range(0, len(outputs), width)]
    if mode == OutputMode.Final:
        by_step = by_step[-1:]
    elif mode == OutputMode.EveryN:
        by_step = by_step[period - 1 :: period]
    kept = [outputs_of_replica for step in by_step for outputs_of_replica in step]
    columns = list(zip(*kept))
    if mode == OutputMode.Sum:
        columns = [_sums(column, width) for column in columns]
    return [_rows(column) for column in columns]


def _sums(column: Sequence[Tensor], width: int) -> Any:
    # dtype kept: torch would sum int32 into int64.
    return tuple(
        torch.stack(list(column[replica::width])).sum(0, dtype=column[0].dtype)
        for replica in range(width)
    )


def _rows(column: Sequence[Tensor]) -> Tensor:
    if len(column) == 1:
        return column[0]
    return torch.cat([value.reshape(1) if value.dim() == 0 else value for value in column])


def restore(output: Any, tensors: Sequence[Tensor]) -> Any:
    """What forward returned in the trace, with the call's tensors in it."""
    remaining: Iterator[Tensor] = iter(tensors)
    return map_tensors(output, lambda traced: next(remaining))


def synthetic(tensor: Tensor) -> Tensor:
    """What an IPU computes on with synthetic data: its own numbers, none of the host's.

    PopART draws normal numbers, also for whole ones; those are 0 here, which every table holds.
    """
    return torch.randn_like(tensor) if tensor.is_floating_point() else torch.zeros_like(tensor)


def nonsense(tensor: Tensor) -> Tensor:
    """The outputs of synthetic data: memory nobody wrote; -1 here, which is no loss."""
    return torch.full_like(tensor, 0 if tensor.dtype in (torch.bool, torch.uint8) else -1)
