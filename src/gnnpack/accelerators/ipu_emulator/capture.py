"""Traces a model's forward once, into a graph that is replayed for every micro-batch.

The trace is a list of torch's operations below autograd, as PopTorch's dispatcher sees them; a
replay on other values goes through autograd again. Python runs only in the trace: numbers,
branches and side effects are frozen, as on an IPU. Operations that draw random numbers draw new
ones in each replay.

A custom ``torch.autograd.Function`` is refused: PopART differentiates what its forward does and
never calls its backward, which a replay could not tell from the one or the other.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator, Mapping, NamedTuple, Sequence

import torch
from torch import Tensor

from gnnpack.accelerators.ipu_emulator.errors import Error
from gnnpack.accelerators.ipu_emulator.guard import Guard
from gnnpack.accelerators.ipu_emulator.losses import final_loss, watch_losses
from gnnpack.accelerators.ipu_emulator.overlap import Mark, watch_marks
from gnnpack.accelerators.ipu_emulator.recorder import Recorder
from gnnpack.accelerators.ipu_emulator.structures import map_tensors, tensors_of

_tracing = False


def isRunningOnIpu() -> bool:
    """Whether a model's forward is being traced for an IPU."""
    return _tracing


class Captured(NamedTuple):
    """A traced forward.

    Attributes:
        graph_module: ``graph_module(*weights, *inputs)`` gives ``(loss, outputs)``: a tensor or
            None, and a tuple of tensors. Each node's ``meta["val"]`` is a tensor without memory
            that has the value's shape and type.
        loss: node of the final loss; None in inference.
        weights: names of the weights, in the graph's order.
        output: what forward returned; its tensors' values are those of the trace.
        has_writes: whether an operation changes a tensor in place.
        marks: inputs and outputs marked for overlapped I/O.
        outputs: nodes of the returned tensors.
    """

    graph_module: torch.fx.GraphModule
    loss: torch.fx.Node | None
    weights: list[str]
    output: Any
    has_writes: bool
    marks: list[Mark]
    outputs: list[torch.fx.Node]


def capture(
    module: torch.nn.Module,
    arguments: Sequence[Any],
    keywords: Mapping[str, Any] | None = None,
    training: bool = True,
) -> Captured:
    """Trace ``module(*arguments, **keywords)`` on one micro-batch.

    Args:
        module: its parameters and buffers become inputs of the graph, its other tensors constants.
        arguments, keywords: tensors, also nested in tuples, lists and dicts; all else is frozen.
        training: whether there must be a loss, and gradients.

    Raises:
        Error: an operation PopTorch does not trace; no loss, or several; a weight that forward
            replaces instead of writing into it.
    """
    weights = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    recorder = Recorder(training)
    for name, weight in weights.items():
        recorder.add_input(f"weight_{name}", weight)
    for number, tensor in enumerate(tensors_of([list(arguments), dict(keywords or {})])):
        recorder.add_input(f"input_{number}", tensor)
    with watch_losses() as losses, watch_marks() as marks, _tracing_with(recorder, training):
        output = module(*arguments, **(keywords or {}))
    _refuse_replaced(module, weights)
    loss = final_loss([recorder.node(tensor) for tensor in losses]) if training else None
    marked = [Mark(kind, recorder.node(old), recorder.node(new)) for kind, old, new in marks]
    outputs = [recorder.node(tensor) for tensor in tensors_of(output)]
    return Captured(
        recorder.finish(loss, outputs),
        loss,
        list(weights),
        map_tensors(output, torch.Tensor.detach),
        recorder.has_writes,
        marked,
        outputs,
    )


@contextmanager
def _tracing_with(recorder: Recorder, grad_enabled: bool) -> Iterator[None]:
    global _tracing
    _tracing = True
    try:
        with torch.set_grad_enabled(grad_enabled), Guard(), recorder:
            yield
    finally:
        _tracing = False


def _refuse_replaced(module: torch.nn.Module, before: Mapping[str, Tensor]) -> None:
    after = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for name, tensor in before.items():
        kind = "Parameter" if isinstance(tensor, torch.nn.Parameter) else "Buffer"
        if name not in after:
            raise Error(f"{kind} {name} is removed from the model when calling the forward method.")
        if after[name] is not tensor:
            raise Error(
                f"{kind} {name} is reassigned within the model when calling the forward method. "
                f"This is not supported. Consider using self.{name}.copy_(src) to copy data from "
                "a source tensor, where src is the name of the source tensor."
            )
