"""Writes the operations that torch dispatches, below autograd, into a graph."""

from __future__ import annotations

from typing import Any, Sequence

import torch
from torch import Tensor
from torch.fx.node import map_aggregate
from torch.utils._python_dispatch import TorchDispatchMode

from gnnpack.accelerators.ipu_emulator.errors import Error
from gnnpack.accelerators.ipu_emulator.guard import refuse_operation


class Recorder(TorchDispatchMode):  # type: ignore[misc, no-untyped-call, unused-ignore]
    """Writes each operation into a graph, and lets it happen."""

    def __init__(self, grad_enabled: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call, unused-ignore]
        self.has_writes = False
        self._graph = torch.fx.Graph()
        self._constants = torch.nn.Module()
        self._nodes: dict[int, torch.fx.Node] = {}
        # An id belongs to a tensor only while it lives.
        self._kept: list[Tensor] = []
        self._grad_enabled = grad_enabled

    def add_input(self, name: str, tensor: Tensor) -> None:
        """An input of the graph; a tensor given twice is one value."""
        node = self._graph.placeholder("".join(c if c.isalnum() else "_" for c in name))
        self._bind(tensor, node)

    def node(self, tensor: Tensor) -> torch.fx.Node:
        """Where a value comes from; a constant where no traced operation made it."""
        if id(tensor) not in self._nodes:
            name = f"constant_{len(self._kept)}"
            setattr(self._constants, name, tensor.detach().clone())
            self._bind(tensor, self._graph.get_attr(name))
        return self._nodes[id(tensor)]

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        refuse_operation(operation, args, kwargs)
        if operation._schema.name == "aten::lift_fresh":
            # A constant of forward, made anew in each run: it may be written into.
            operation = torch.ops.aten.clone.default
        self._follow_grad_mode()
        inputs = [self._input(value) for value in (args, kwargs)]
        value = operation(*args, **kwargs)
        self._outputs(value, self._graph.call_function(operation, *inputs))
        self.has_writes |= operation._schema.is_mutable
        return value

    def finish(
        self, loss: torch.fx.Node | None, outputs: Sequence[torch.fx.Node]
    ) -> torch.fx.GraphModule:
        """The graph with its outputs."""
        self._graph.output((loss, tuple(outputs)))
        for node in reversed(self._graph.nodes):
            # autograd's own, of values it saves.
            if node.target is torch.ops.aten.detach.default and not node.users:
                self._graph.erase_node(node)
        module = torch.fx.GraphModule(self._constants, self._graph)
        # Nothing of the trace may stay alive in it.
        self._nodes.clear()
        self._kept.clear()
        return module

    def _input(self, structure: Any) -> Any:
        return map_aggregate(structure, lambda v: self._used(v) if isinstance(v, Tensor) else v)

    def _used(self, tensor: Tensor) -> torch.fx.Node:
        if isinstance(tensor.grad_fn, torch.autograd.function.BackwardCFunction):
            raise Error(
                f"forward uses a torch.autograd.Function ({type(tensor.grad_fn).__name__}). "
                "PopTorch does not call its backward; write the function with torch's operations."
            )
        return self.node(tensor)

    def _outputs(self, value: Any, node: torch.fx.Node) -> None:
        if isinstance(value, Tensor):
            self._bind(value, node)
        elif isinstance(value, (tuple, list)):
            node.meta["val"] = map_aggregate(value, _shape_of)
            for number, part in enumerate(value):
                if isinstance(part, Tensor):
                    item = self._graph.call_function(_item, (node, number))
                    self._bind(part, item)

    def _bind(self, tensor: Tensor, node: torch.fx.Node) -> None:
        node.meta["val"] = _shape_of(tensor)
        self._nodes[id(tensor)] = node
        self._kept.append(tensor)

    def _follow_grad_mode(self) -> None:
        """Operations lie below autograd; what torch.no_grad() covers is written down."""
        if torch.is_grad_enabled() != self._grad_enabled:
            self._grad_enabled = not self._grad_enabled
            self._graph.call_function(torch._C._set_grad_enabled, (self._grad_enabled,))


def _item(values: Sequence[Any], number: int) -> Any:
    return values[number]


def _shape_of(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    return torch.empty(value.shape, dtype=value.dtype, device="meta")
