"""CUDA graphs emulated on the CPU: what was captured is a list of kernels on fixed memory.

As on a GPU: a capture runs nothing, a replay runs no Python, numbers are those of the capture,
tensors made inside lie at the same place in every replay, and nothing may read a number back.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Iterator

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from gnnpack.accelerators.capture import Graph

# They wait for the device or have a shape that depends on values.
FORBIDDEN = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "item")


class Recorder(TorchDispatchMode):
    """Records every kernel with its operands; keeps what outside tensors held before."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list[tuple[Any, Any, Any, list[Any]]] = []
        self.before: dict[int, tuple[Tensor, Tensor]] = {}
        self.made: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if name in FORBIDDEN:
            raise RuntimeError(f"operation not permitted when stream is capturing: {name}")
        for tensor in written(func, args, kwargs):
            if storage_of(tensor) not in self.made and tensor.data_ptr() not in self.before:
                self.before[tensor.data_ptr()] = (tensor, tensor.clone())
        result = func(*args, **kwargs)
        outputs = tree_flatten(result)[0]
        operands = {storage_of(t) for t in tree_flatten((args, kwargs))[0] if isinstance(t, Tensor)}
        # A view lies where its base does.
        self.made |= {storage_of(t) for t in outputs if isinstance(t, Tensor)} - operands
        self.kernels.append((func, args, kwargs, outputs))
        return result


def written(func: Any, args: Any, kwargs: Any) -> Iterator[Tensor]:
    """Operands that a kernel writes to."""
    for place, argument in enumerate(func._schema.arguments):
        if argument.alias_info is None or not argument.alias_info.is_write:
            continue
        operand = args[place] if place < len(args) else kwargs.get(argument.name)
        for tensor in tree_flatten(operand)[0]:
            if isinstance(tensor, Tensor):
                yield tensor


class RecordedCapture:
    """Stands in the place of `CUDACapture`; ``captures`` counts."""

    def __init__(self) -> None:
        self.captures = 0
        self.replays = 0
        self.warm_ups = 0

    @contextmanager
    def warm_up(self) -> Iterator[None]:
        self.warm_ups += 1
        yield

    def capture(self, function: Callable[[], Tensor]) -> Graph:
        recorder = Recorder()
        try:
            with recorder:
                output = function()
        finally:
            # Nothing has run.
            with torch.no_grad():
                for tensor, value in recorder.before.values():
                    tensor.copy_(value)
        self.captures += 1
        with torch.no_grad():
            for *_, outputs in recorder.kernels:
                poison(outputs, recorder.made)

        def replay() -> None:
            self.replays += 1
            with torch.no_grad():
                for func, args, kwargs, outputs in recorder.kernels:
                    for kept, new in zip(outputs, tree_flatten(func(*args, **kwargs))[0]):
                        if isinstance(kept, Tensor) and kept.data_ptr() != new.data_ptr():
                            kept.copy_(new)

        return Graph(replay, output)

    def upload(self, kept: Tensor, values: list[Any]) -> None:
        kept.copy_(torch.tensor(values, dtype=kept.dtype))

    def download(self, values: Tensor) -> Callable[[], tuple[list[float], float]]:
        host = values.clone()
        return lambda: (host.tolist(), 0.25)


def poison(outputs: list[Any], made: set[int]) -> None:
    """Fill what was made inside with NaN: a capture leaves no values behind."""
    for output in outputs:
        if isinstance(output, Tensor) and output.is_floating_point() and storage_of(output) in made:
            output.fill_(float("nan"))


def storage_of(tensor: Tensor) -> int:
    """Where a tensor's memory begins."""
    return tensor.untyped_storage().data_ptr()
