"""PopTorch's optimizers: torch's, with what an IPU's update needs besides.

On the host they only hold hyper-parameters; the executor updates with `device_optimizer`. Which
arguments were passed decides what `setOptimizer` may change later: those, and no others.

Read in PopTorch 3.4's ``optim.py`` and ``_optimizer_attributes.py``.
"""

from __future__ import annotations

from typing import Any, ClassVar, Iterable

import torch

from gnnpack.accelerators.ipu_emulator.optim_device import (
    attributes,
    check_replacement,
    device_optimizer,
    device_state,
    load_attributes,
    load_device_state,
)
from gnnpack.accelerators.ipu_emulator.optim_state import IPUState, VariableAttributes

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "RMSprop",
    "VariableAttributes",
    "attributes",
    "check_replacement",
    "device_optimizer",
    "device_state",
    "load_attributes",
    "load_device_state",
]

HALF_OR_FLOAT = (torch.float16, torch.float32)


class _Optimizer(IPUState):
    """What the four have in common.

    Every argument is a number, a flag or a type; those left None have their class's default and
    are constant, those given are variable.
    """

    # What torch's class of this name does not know, with its default.
    own: ClassVar[dict[str, Any]] = {}
    defaults: dict[str, Any]

    def _begin(self, parent: type, params: Iterable[Any], arguments: dict[str, Any]) -> None:
        given = {name: value for name, value in arguments.items() if value is not None}
        own = {name: given.pop(name, default) for name, default in self.own.items()}
        for name, value in own.items():
            assert not name.endswith("accum_type") or value in HALF_OR_FLOAT, (
                f"{name} is {value}: Accumulation types must be either torch.float32 or "
                "torch.float16"
            )
        IPUState.__init__(self)
        parent.__init__(self, params, **given)  # type: ignore[misc]
        for name, value in own.items():
            setattr(self, name, value)
        variable = [name for name, value in arguments.items() if value is not None]
        self.variable_attrs = VariableAttributes(variable, [*self.defaults, "loss_scaling"])


class SGD(_Optimizer, torch.optim.SGD):
    """Stochastic gradient descent; without Nesterov's momentum."""

    own: ClassVar[dict[str, Any]] = {
        "loss_scaling": 1.0,
        "velocity_scaling": 1.0,
        "use_combined_accum": False,
        "accum_type": torch.float32,
        "velocity_accum_type": torch.float32,
        "max_grad_norm": float("inf"),
    }

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float | None = None,
        dampening: float | None = None,
        weight_decay: float | None = None,
        nesterov: bool | None = None,
        maximize: bool | None = None,
        foreach: bool | None = None,
        differentiable: bool | None = None,
        loss_scaling: float | None = None,
        velocity_scaling: float | None = None,
        use_combined_accum: bool | None = None,
        accum_type: torch.dtype | None = None,
        velocity_accum_type: torch.dtype | None = None,
        max_grad_norm: float | None = None,
    ) -> None:
        self._begin(torch.optim.SGD, params, _arguments(locals()))


class _AdamOptimizer(_Optimizer):
    """Adam's and AdamW's own arguments."""

    own: ClassVar[dict[str, Any]] = {
        "loss_scaling": 1.0,
        "accum_type": torch.float32,
        "first_order_momentum_accum_type": torch.float32,
        "second_order_momentum_accum_type": torch.float32,
        "max_grad_norm": float("inf"),
    }


class Adam(_AdamOptimizer, torch.optim.Adam):
    """Adam; without AMSGrad."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | None = None,
        betas: tuple[float, float] | None = None,
        eps: float | None = None,
        weight_decay: float | None = None,
        amsgrad: bool | None = None,
        foreach: bool | None = None,
        maximize: bool | None = None,
        capturable: bool | None = None,
        differentiable: bool | None = None,
        fused: bool | None = None,
        loss_scaling: float | None = None,
        accum_type: torch.dtype | None = None,
        first_order_momentum_accum_type: torch.dtype | None = None,
        second_order_momentum_accum_type: torch.dtype | None = None,
        max_grad_norm: float | None = None,
    ) -> None:
        self._begin(torch.optim.Adam, params, _arguments(locals()))


class AdamW(_AdamOptimizer, torch.optim.AdamW):
    """Adam with true weight decay; without AMSGrad."""

    own: ClassVar[dict[str, Any]] = {**_AdamOptimizer.own, "bias_correction": True}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | None = None,
        betas: tuple[float, float] | None = None,
        eps: float | None = None,
        weight_decay: float | None = None,
        amsgrad: bool | None = None,
        maximize: bool | None = None,
        foreach: bool | None = None,
        capturable: bool | None = None,
        differentiable: bool | None = None,
        fused: bool | None = None,
        loss_scaling: float | None = None,
        bias_correction: bool | None = None,
        accum_type: torch.dtype | None = None,
        first_order_momentum_accum_type: torch.dtype | None = None,
        second_order_momentum_accum_type: torch.dtype | None = None,
        max_grad_norm: float | None = None,
    ) -> None:
        self._begin(torch.optim.AdamW, params, _arguments(locals()))


class RMSprop(_Optimizer, torch.optim.RMSprop):
    """RMSprop; without TensorFlow's variant, and without ``max_grad_norm``, as in PopTorch."""

    own: ClassVar[dict[str, Any]] = {
        "loss_scaling": 1.0,
        "accum_type": torch.float32,
        "first_order_momentum_accum_type": torch.float32,
        "second_order_momentum_accum_type": torch.float32,
        "use_tf_variant": False,
    }

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | None = None,
        alpha: float | None = None,
        eps: float | None = None,
        weight_decay: float | None = None,
        momentum: float | None = None,
        centered: bool | None = None,
        foreach: bool | None = None,
        maximize: bool | None = None,
        differentiable: bool | None = None,
        loss_scaling: float | None = None,
        accum_type: torch.dtype | None = None,
        first_order_momentum_accum_type: torch.dtype | None = None,
        second_order_momentum_accum_type: torch.dtype | None = None,
        use_tf_variant: bool | None = None,
    ) -> None:
        self._begin(torch.optim.RMSprop, params, _arguments(locals()))


def _arguments(names: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in names.items() if k not in ("self", "params", "__class__")}


def __getattr__(name: str) -> Any:
    if name == "LAMB":
        raise AttributeError(
            "poptorch.optim.LAMB is not emulated; it runs on an IPU. Use SGD, Adam, AdamW or "
            "RMSprop on the emulator."
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
