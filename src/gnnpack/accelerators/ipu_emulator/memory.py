"""Will a model fit on one IPU? An estimate from its traced graph; only the compiler knows.

The whole of it, with the sources and what it cannot see, is told in docs/ipu_memory.md.
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from gnnpack.accelerators.ipu_emulator.kept_activations import (
    kept_for_backward,
    num_bytes,
    operation_name,
    operations,
)
from gnnpack.accelerators.ipu_emulator.options import Options

# A Mk2 or Bow IPU: "tiles only have 638976 bytes of memory" (Graphcore, Memory and Performance
# Optimisation on the IPU, 6.1), which is 624 KiB, and 1,472 tiles (Graphcore, IPU Programmer's
# Guide).
NUM_TILES = 1472
TILE_BYTES = 624 * 1024
# Poplar's default of availableMemoryProportion (Graphcore, Optimising Temporary Memory Usage for
# Convolutions and Matmuls on the IPU).
DEFAULT_MEMORY_PROPORTION = 0.6
# Bytes a tile: a profile that Graphcore printed (Targeting the IPU from TensorFlow, "Reading the
# Poplar textual summary report": one addition, 4 compute sets, on 1,216 tiles of a Mk1 IPU).
# Stack 3,852,288 and host exchange code 351,328 bytes, by tile:
RUNTIME_BYTES_PER_TILE = 3457
# Control code 851,272, vertex code 170,788, exchange code 60,792 and vertex state 14,640 bytes, by
# tile and compute set. A RULE OF THUMB where an operation is taken for one compute set.
CODE_BYTES_PER_TILE_AND_OPERATION = 226
# The backward pass of an operation with two trained inputs is two operations.
OPERATIONS_IN_TRAINING = 3
# The fullest tile decides, and nobody lays data out evenly: a RULE OF THUMB.
LIKELY_SHARE = 0.8

_PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "mv", "dot", "matmul", "linear")
MIB = 1024 * 1024


class Estimate(NamedTuple):
    """Bytes on one IPU, by what takes them. All of it is an estimate.

    Attributes:
        weights: parameters and buffers, each of its own type; values of 64 bits take 32.
        gradients: one for each trained parameter, while an update is made.
        accumulators: one more where gradient accumulation > 1, of the optimizer's ``accum_type``
            (PopTorch, SGD: "two state tensors for each weight: one for gradient accumulation").
        optimizer_state: moments: Adam and AdamW 2 a parameter, RMSprop 1 and 1 more each with
            momentum and ``centered``, SGD 1 with momentum; of the optimizer's accum types.
        activations: values of one micro-batch that the backward pass reads (`kept_for_backward`).
        inputs_and_outputs: one micro-batch of each. What is prefetched waits off the IPU.
        temporaries: operands and result of the largest operation, which Poplar lays out anew for
            it; for a matrix product at most the available memory proportion.
        code: vertex, control and exchange code and stacks. A rule of thumb.
        available: 624 KiB x (1,472 tiles - I/O tiles).
        num_operations: operations of the forward graph.
    """

    weights: int
    gradients: int
    accumulators: int
    optimizer_state: int
    activations: int
    inputs_and_outputs: int
    temporaries: int
    code: int
    available: int
    num_operations: int

    @property
    def total(self) -> int:
        """Bytes of all terms."""
        return sum(getattr(self, name) for name in TERMS)

    @property
    def likely_fits(self) -> bool:
        """Whether the total is at most 80 % of what is available."""
        return self.total <= LIKELY_SHARE * self.available

    def lines(self) -> list[str]:
        """The estimate as text, one term a line, in MiB."""
        verdict = "likely fits" if self.likely_fits else "likely does not fit"
        return [
            f"IPU memory, an estimate: {verdict} one IPU: {self.total / MIB:.1f} of "
            f"{self.available / MIB:.1f} MiB ({100 * self.total / self.available:.0f} %)",
            *(
                f"  {name.replace('_', ' '):<19}{getattr(self, name) / MIB:8.1f} MiB"
                f"{'  (rule of thumb)' if name == 'code' else ''}"
                for name in TERMS
            ),
        ]


TERMS = Estimate._fields[:8]


def estimate(
    captured: Any,
    named_parameters: Mapping[str, Tensor],
    optimizer: Optimizer | None = None,
    options: Options | None = None,
) -> Estimate:
    """What a traced forward would take on one IPU.

    Args:
        captured: of `capture`, traced on one micro-batch.
        named_parameters: the model's parameters by name; ``requires_grad`` says which are trained.
        optimizer: that of the training; None in inference.
        options: gradient accumulation, I/O tiles, memory proportion, tensors kept off the IPU.
    """
    options = Options() if options is None else options
    graph = captured.graph_module.graph
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    weights = dict(zip(captured.weights, inputs))
    trained = {
        name: parameter
        for name, parameter in named_parameters.items()
        if parameter.requires_grad and optimizer is not None
    }
    accumulates = options.Training.gradient_accumulation > 1
    kept = kept_for_backward(graph, {weights[name] for name in trained if name in weights})
    num_operations = sum(1 for _ in operations(graph))
    available = TILE_BYTES * (NUM_TILES - options.TensorLocations.toDict().get("numIOTiles", 0))
    return Estimate(
        weights=_on_chip(options, "weight", sum(_value_bytes(node) for node in weights.values())),
        gradients=sum(num_bytes(parameter) for parameter in trained.values()),
        accumulators=_on_chip(
            options, "accumulator", accumulates * _of_type(trained, optimizer, "accum_type")
        ),
        optimizer_state=_on_chip(options, "optimizer", _state_bytes(trained, optimizer)),
        activations=_on_chip(options, "activation", sum(_value_bytes(node) for node in kept)),
        inputs_and_outputs=sum(_value_bytes(node) for node in inputs[len(weights) :])
        + _output_bytes(graph),
        temporaries=_temporaries(graph, options, available),
        code=NUM_TILES
        * (
            RUNTIME_BYTES_PER_TILE
            + CODE_BYTES_PER_TILE_AND_OPERATION
            * num_operations
            * (OPERATIONS_IN_TRAINING if trained else 1)
        ),
        available=available,
        num_operations=num_operations,
    )


def _value_bytes(node: torch.fx.Node) -> int:
    return num_bytes(node.meta["val"])


def _output_bytes(graph: torch.fx.Graph) -> int:
    made = next(node for node in graph.nodes if node.op == "output")
    return sum(_value_bytes(node) for node in made.all_input_nodes)


def _on_chip(options: Options, kind: str, size: int) -> int:
    """``size``, or 0 where the options keep this kind off the IPU."""
    location = options.TensorLocations.toDict().get(f"location_{kind}", {})
    return size if location.get("onChip", 1) else 0


def _of_type(trained: Mapping[str, Tensor], optimizer: Any, name: str) -> int:
    """Bytes of one number a trained parameter, of the type that the optimizer names."""
    dtype = getattr(optimizer, name, torch.float32)
    size = torch.empty((), dtype=dtype).element_size()
    return sum(parameter.numel() for parameter in trained.values()) * size


def _state_bytes(trained: Mapping[str, Tensor], optimizer: Any) -> int:
    if optimizer is None:
        return 0
    group = optimizer.param_groups[0]
    if isinstance(optimizer, torch.optim.SGD):
        names = ["velocity_accum_type"] if group["momentum"] else []
    else:
        names = ["second_order_momentum_accum_type"]
        if isinstance(optimizer, torch.optim.RMSprop):
            names += ["first_order_momentum_accum_type"] * bool(group["centered"])
            names += ["second_order_momentum_accum_type"] * bool(group["momentum"])
        else:
            names += ["first_order_momentum_accum_type"]
    return sum(_of_type(trained, optimizer, name) for name in names)


def _temporaries(graph: torch.fx.Graph, options: Options, available: int) -> int:
    proportion = options.available_memory_proportion.get(0, DEFAULT_MEMORY_PROPORTION)
    bound = int(proportion * available)
    sizes = [0]
    for node in operations(graph):
        size = _value_bytes(node) + sum(_value_bytes(before) for before in node.all_input_nodes)
        sizes.append(min(size, bound) if operation_name(node) in _PRODUCTS else size)
    return max(sizes)
