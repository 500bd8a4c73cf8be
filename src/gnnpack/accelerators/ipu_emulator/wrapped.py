"""The user's module while it is trained: a touch of a weight copies it back from the device first.

A training call leaves the host's weights stale. PopTorch changes the class of the module and of its
parameters and buffers in place, so that whoever looks at one has them all copied; so does this. A
``state_dict`` holds plain tensors, and a pickle or a copy holds the plain classes.
"""

from __future__ import annotations

import copy
import weakref
from typing import Any, Callable

import torch
from torch import Tensor

from gnnpack.accelerators.ipu_emulator.errors import Error

# As torch.nn.Parameter does it: no function of torch is intercepted, and results are plain.
_plain_call: Callable[..., Any] = torch._C._disabled_torch_function_impl


class _Wrapped:
    """Marks the classes made here.

    Attributes:
        executor: gives what trains the weights, or None once that is gone.
    """

    executor: Callable[[], Any] = staticmethod(lambda: None)

    @classmethod
    def copy_if_needed(cls) -> bool:
        """Bring the host's weights up to date; whether they were not."""
        executor = cls.executor()
        return executor is not None and bool(executor.copyWeightsToHostIfNeeded())


class _WrappedTensor(_Wrapped):
    def __getattribute__(self, name: str) -> Any:
        type(self).copy_if_needed()
        return super().__getattribute__(name)

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        # That there is one makes torch read an attribute, also in torch.equal(weight, other).
        return _plain_call(function, types, args, kwargs or {})

    def _plain(self) -> Tensor:
        tensor: Any = self
        plain = tensor.detach()
        if isinstance(self, torch.nn.Parameter):
            return torch.nn.Parameter(plain, requires_grad=tensor.requires_grad)
        assert isinstance(plain, Tensor), "a buffer is a tensor"
        return plain

    def __deepcopy__(self, memory: dict[int, Any]) -> Tensor:
        if id(self) not in memory:
            memory[id(self)] = copy.deepcopy(self._plain(), memory)
        made: Tensor = memory[id(self)]
        return made

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._plain().__reduce_ex__(protocol)  # type: ignore[no-untyped-call]


class _WrappedModule(_Wrapped):
    own_class: type[Any]

    def copyWeightsToHostIfNeeded(self) -> bool:
        """Whether the host's weights were stale; they no longer are."""
        return type(self).copy_if_needed()

    def host_weights_version(self) -> int:
        """How often the host's weights were copied from the device."""
        executor = type(self).executor()
        return 0 if executor is None else int(executor.host_weights_version)

    def destroy(self) -> None:
        """Destroy the executor, and give the module its own class back."""
        executor = type(self).executor()
        if executor is not None:
            executor.destroy()
        unwrap(self)  # type: ignore[arg-type]

    def __reduce_ex__(self, protocol: Any) -> Any:
        plain = object.__new__(type(self).own_class)
        vars(plain).update(vars(self))
        return plain.__reduce_ex__(protocol)


def is_wrapped(module: torch.nn.Module) -> bool:
    """Whether a trainingModel holds ``module``."""
    return isinstance(module, _WrappedModule)


def wrap(module: torch.nn.Module, executor: Any) -> None:
    """Have ``executor`` asked for its weights before anybody sees one of ``module``.

    Args:
        executor: it is not kept alive; once it is gone, the weights are what they are.

    Raises:
        Error: a buffer of a class of its own.
    """
    for name, buffer in module.named_buffers():
        if type(buffer) is not Tensor:
            raise Error(
                f"All buffers must be an instance of torch.Tensor; {name} is a "
                f"{type(buffer).__name__}."
            )
    body = {"executor": staticmethod(weakref.ref(executor))}
    # The class of a tensor must be made of tensors' classes; two of them serve all weights.
    parameter_class = type("PoptorchParameter", (_WrappedTensor, torch.nn.Parameter), dict(body))
    buffer_class = type("PoptorchBuffer", (_WrappedTensor, Tensor), dict(body))
    for parameter in module.parameters():
        parameter.__class__ = parameter_class
    for buffer in module.buffers():
        buffer.__class__ = buffer_class
    own = type(module)
    module_body = {**body, "own_class": own}
    module.__class__ = type(f"Poptorch{own.__name__}", (_WrappedModule, own), module_body)


def unwrap(module: torch.nn.Module) -> None:
    """Give a module and its weights their own classes back."""
    if not is_wrapped(module):
        return
    for parameter in module.parameters():
        parameter.__class__ = torch.nn.Parameter
    for buffer in module.buffers():
        buffer.__class__ = Tensor
    module.__class__ = type(module).own_class  # type: ignore[attr-defined]
