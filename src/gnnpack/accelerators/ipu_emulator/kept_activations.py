"""Which values of a traced forward stay in memory until the backward pass has used them.

The rule is that of the chain rule: a product keeps its factors, an exponential its result, a gather
its indices, a sum nothing. It is written down per operation here; autograd's own record would be
that of torch's CPU kernels, which keep other things. An operation that is not in the table is
taken to keep all it reads and makes, so that the estimate errs to the high side. A value is counted
once, however many operations need it; a view is the value it looks at (Poplar's tensors are views).
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping

import torch
from torch.fx import Node

# What an operation's derivative reads, by aten name.
INPUTS, RESULT, INDICES, FACTORS, NOTHING = "inputs", "result", "indices", "factors", "nothing"
KEEPS: Mapping[str, str] = {
    FACTORS: "mm bmm addmm baddbmm mv dot mul div linear matmul",
    INPUTS: (
        "abs log log1p pow sin cos softplus silu gelu clamp clamp_min clamp_max relu square norm "
        "linalg_vector_norm prod leaky_relu elu maximum minimum erf mse_loss l1_loss "
        "smooth_l1_loss log_sigmoid_forward amax amin max min _cdist_forward cdist"
    ),
    RESULT: "exp expm1 sqrt rsqrt tanh sigmoid _softmax reciprocal",
    INDICES: (
        "index_select index gather embedding scatter_add scatter scatter_reduce index_put "
        "masked_fill where topk sort index_reduce index_fill"
    ),
    NOTHING: (
        "add sub rsub neg sum mean cumsum cat stack clone copy _to_copy detach fill zeros_like "
        "ones_like full_like zeros ones full arange new_zeros new_ones new_full empty new_empty "
        "empty_like scalar_tensor"
    ),
}
VIEWS = (
    "view _unsafe_view reshape expand t transpose permute unsqueeze squeeze slice select alias "
    "as_strided unbind split split_with_sizes diagonal narrow flatten _reshape_alias view_as "
    "expand_as lift_fresh chunk unfold"
)
_RULE = {name: rule for rule, names in KEEPS.items() for name in names.split()}
_VIEWS = frozenset(VIEWS.split())


def num_bytes(value: Any) -> int:
    """Bytes of a value on an IPU, where whole numbers and floats have at most 32 bits."""
    if isinstance(value, torch.Tensor):
        return value.numel() * min(value.element_size(), 4)
    if isinstance(value, (tuple, list)):
        return sum(num_bytes(part) for part in value)
    return 0


def operation_name(node: Node) -> str:
    """aten's name of a node's operation, without its overload and the mark of writing in place."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return str(getattr(node.target, "__name__", node.target))
    name = str(schema.name).split("::")[-1]
    return name[:-1] if name.endswith("_") and not name.startswith("__") else name


def operations(graph: torch.fx.Graph) -> Iterator[Node]:
    """The nodes that compute: no inputs, no views."""
    for node in graph.nodes:
        if node.op == "call_function" and not _is_view(node) and not _is_part(node):
            yield node


def kept_for_backward(graph: torch.fx.Graph, trained: set[Node]) -> set[Node]:
    """Nodes of ``graph`` whose values the backward pass reads.

    Args:
        trained: the inputs that have gradients. No input of the graph is counted.
    """
    differentiable = _differentiable(graph, trained)
    kept: set[Node] = set()
    for node in operations(graph):
        if node in differentiable:
            kept.update(_read_by_derivative(node, differentiable))
    # Weights are counted as weights, inputs as inputs.
    return {base for base in map(_base, kept) if base.op != "placeholder"}


def _differentiable(graph: torch.fx.Graph, trained: set[Node]) -> set[Node]:
    """Nodes that depend on a trained input by way of floating-point numbers."""
    found = set(trained)
    for node in graph.nodes:
        if any(before in found for before in node.all_input_nodes) and _has_float(node):
            found.add(node)
    return found


def _read_by_derivative(node: Node, differentiable: set[Node]) -> list[Node]:
    inputs = list(node.all_input_nodes)
    rule = _RULE.get(operation_name(node))
    if rule == NOTHING:
        return []
    if rule == INPUTS:
        return inputs
    if rule == RESULT:
        return [node]
    if rule == INDICES:
        # topk's indices are its own.
        made = [part for part in node.users if _is_part(part)] or [node]
        return [before for before in [*inputs, *made] if not _is_float(before)]
    if rule == FACTORS:
        # A factor is read by the gradient of another; x * x has two, x * 2 has one.
        factors = [part for part in node.args if isinstance(part, Node)]
        return [
            factor
            for at, factor in enumerate(factors)
            if any(other in differentiable for other in factors[:at] + factors[at + 1 :])
        ]
    return [*inputs, node]


def _base(node: Node) -> Node:
    while _is_view(node) and node.all_input_nodes:
        node = node.all_input_nodes[0]
    return node


def _is_view(node: Node) -> bool:
    return node.op == "call_function" and operation_name(node) in _VIEWS


def _is_part(node: Node) -> bool:
    """Whether a node takes one tensor out of those that an operation makes."""
    return node.op == "call_function" and not hasattr(node.target, "_schema")


def _is_float(node: Node) -> bool:
    """Whether all of a value is floating-point; topk's is not."""
    return all(_floats(node))


def _has_float(node: Node) -> bool:
    return any(_floats(node))


def _floats(node: Node) -> list[bool]:
    value = node.meta.get("val")
    parts = value if isinstance(value, (tuple, list)) else [value]
    return [isinstance(part, torch.Tensor) and part.is_floating_point() for part in parts]
