"""Refuses, while forward is traced, what an IPU cannot do, in PopTorch's words."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gnnpack.accelerators.ipu_emulator.errors import Error
from gnnpack.accelerators.ipu_emulator.supported_ops import (
    DYNAMIC_SHAPE,
    EAGER_ONLY,
    MASK_CURE,
    refusal,
)

# These read a tensor's memory without an operation that a dispatch mode would see.
HOST_READS = {Tensor.tolist, Tensor.cpu, Tensor.numpy, Tensor.item, Tensor.__array__}
MASKS = (torch.bool, torch.uint8)


def refuse_operation(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise Error for an operation (torch's overload of it) that PopTorch does not trace."""
    namespace, name = operation._schema.name.split("::")
    if namespace not in ("aten", "prim"):
        raise Error(
            f"{namespace}::{name} is an operation of its own, which PopTorch does not know. Write "
            "it with torch's operations."
        )
    base = name[:-1] if name.endswith("_") and not name.endswith("__") else name
    reason = refusal(base)
    if reason is not None:
        raise Error(reason)
    if base in ("index", "index_put"):
        _refuse_masks(base, args[1])
    if base == "topk" and not kwargs.get("sorted", args[4] if len(args) > 4 else True):
        raise Error("aten::topk is supported with sorted=True only.")


def _refuse_masks(base: str, indices: Any) -> None:
    masks = [index for index in indices if index is not None and index.dtype in MASKS]
    # PopTorch makes a where() of x[mask] = value.
    writes_one = base == "index_put" and len(masks) == 1 and len(indices) == 1
    if masks and not writes_one:
        raise Error(DYNAMIC_SHAPE + MASK_CURE)


class Guard(TorchFunctionMode):  # type: ignore[misc, unused-ignore]
    """Sees the calls that end in no operation, or in ones that say nothing of their purpose."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in HOST_READS or _moves_to_the_host(function, args, kwargs):
            raise Error(EAGER_ONLY)
        if function is torch.autograd.grad or function is Tensor.backward:
            raise Error(
                "Gradients cannot be taken inside forward: PopTorch differentiates the final loss "
                "of a trainingModel, and nothing else."
            )
        if getattr(function, "__name__", "") == "one_hot":
            return _one_hot(*args, **kwargs)
        return function(*args, **kwargs)


def _moves_to_the_host(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    # x.to(other.device) stays allowed: an emulated tensor's device is torch's CPU.
    return function is Tensor.to and (args[1:2] == ("cpu",) or kwargs.get("device") == "cpu")


def _one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """torch's own reads the largest class on a CPU; an IPU has the operation as it is."""
    if num_classes == -1:
        raise Error("OneHot num classes must be specified and must be constant.")
    classes = torch.arange(num_classes, device=tensor.device)
    return (tensor.unsqueeze(-1) == classes).to(tensor.dtype)
