"""Host I/O that overlaps with computing: marks on inputs and outputs, and what they need.

The emulator checks them; they change no number. Source of the checks: PopTorch's
``Compiler.cpp`` and ``tests/overlapped_io_test.py``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator, NamedTuple, Sequence

import torch
from torch import Tensor

from gnnpack.accelerators.ipu_emulator.enums import OutputMode, OverlapMode
from gnnpack.accelerators.ipu_emulator.errors import Error
from gnnpack.accelerators.ipu_emulator.options_backend import PipelinedExecution
from gnnpack.accelerators.ipu_emulator.structures import map_tensors

INPUT, OUTPUT = "set_overlap_for_input", "set_overlap_for_output"


class Mark(NamedTuple):
    """A marked value: tensors while forward is traced, nodes of the graph afterwards."""

    kind: str
    before: Any
    after: Any


_found: list[list[Mark]] = []


def set_overlap_for_input(input_tensors: Any, mode: OverlapMode) -> Any:
    """Fetch inputs of the model (a tensor, tuple, list or dict of them) ahead of their use."""
    return map_tensors(input_tensors, lambda tensor: _mark(INPUT, tensor, mode))


def set_overlap_for_output(output_tensors: Any, mode: OverlapMode) -> Any:
    """Send outputs of the model while the next are computed."""
    return map_tensors(output_tensors, lambda tensor: _mark(OUTPUT, tensor, mode))


def _mark(kind: str, tensor: Tensor, mode: OverlapMode) -> Tensor:
    assert isinstance(mode, OverlapMode), f"mode is {mode!r}; it is a poptorch.OverlapMode"
    if mode == OverlapMode.NoOverlap or not _found:
        return tensor
    marked = tensor.clone()
    _found[-1].append(Mark(kind, tensor, marked))
    return marked


@contextmanager
def watch_marks() -> Iterator[list[Mark]]:
    """The marks that are made inside, in order."""
    _found.append([])
    try:
        yield _found[-1]
    finally:
        _found.pop()


def check_marks(
    marks: Sequence[Mark],
    outputs: Sequence[torch.fx.Node],
    strategy: PipelinedExecution,
    num_io_tiles: int,
    output_mode: int,
) -> None:
    """Raise Error where overlapped I/O is asked for what is no input or output, or in vain.

    Args:
        outputs: nodes of the returned tensors.
        num_io_tiles: 0 = none.
    """
    for mark in marks:
        check = _check_input if mark.kind == INPUT else _check_output
        check(mark, outputs)
    if not marks:
        return
    if strategy.execution_mode == PipelinedExecution.execution_mode:
        raise Error(
            "Overlapped IO is not supported with poptorch.PipelinedExecution. If you are using "
            "only one IPU, please switch to poptorch.ShardedExecution."
        )
    if not num_io_tiles:
        raise Error(
            "No IO tiles allocated. You must allocate at least 32 IO tiles using "
            "poptorch.Options().TensorLocations.numIOTiles."
        )
    if output_mode not in (OutputMode.All, OutputMode.Sum):
        raise Error(
            f"Overlapped IO is not supported with output mode {OutputMode(output_mode).name}. Use "
            "poptorch.OutputMode.All or poptorch.OutputMode.Sum."
        )


def _check_input(mark: Mark, outputs: Sequence[torch.fx.Node]) -> None:
    if mark.before.op != "placeholder" or not mark.before.name.startswith("input_"):
        raise Error(
            "poptorch.set_overlap_for_input applied on a node which is not a tensor input to the "
            "model."
        )
    if set(mark.before.users) != {mark.after}:
        raise Error(
            "poptorch.set_overlap_for_input must be the only op applied to an input. This is not "
            f"the case for {mark.before.name} to the model."
        )


def _check_output(mark: Mark, outputs: Sequence[torch.fx.Node]) -> None:
    if mark.after not in outputs:
        raise Error(
            "poptorch.set_overlap_for_output applied on a node which is not a tensor output to the "
            "model."
        )
    if mark.before in outputs or list(outputs).count(mark.after) > 1:
        raise Error(
            "poptorch.set_overlap_for_output cannot be used with a tensor that is returned twice. "
            "Please check all returned tensors including those nested in tuples/lists."
        )
