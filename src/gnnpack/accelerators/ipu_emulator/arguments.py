"""From a call's arguments to what a model is compiled for, and the check that they stay so.

Rules and words are those of PopTorch 3.4's ``_args_parser.py``.
"""

from __future__ import annotations

import inspect
import logging
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gnnpack.accelerators.ipu_emulator.errors import Error
from gnnpack.accelerators.ipu_emulator.structures import map_tensors

log = logging.getLogger(__name__)

RECOMPILE = (
    "\nThis error occurred because the inputs passed at runtime don't match the inputs used to "
    "compile the model.\nTo recompile the model for the new inputs create a new inferenceModel / "
    "trainingModel wrapper or call destroy() on the current one and try again."
)


class Arguments(NamedTuple):
    """A call's arguments in the order of the signature, defaults filled in."""

    positional: list[Any]
    names: list[str]
    keywords: dict[str, Any]

    def map(self, function: Any) -> Arguments:
        """The same arguments with ``function`` of each tensor."""
        return Arguments(
            map_tensors(self.positional, function), self.names, map_tensors(self.keywords, function)
        )


class ArgumentParser:
    """Matches calls to the signature of a module's forward."""

    def __init__(self, module: torch.nn.Module) -> None:
        self._parameters = list(inspect.signature(module.forward).parameters.values())
        self._told: set[str] = set()

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        """The arguments by the signature, their tensors contiguous and without a history.

        Raises:
            AssertionError: too many arguments, one that forward does not know, or one given twice.
            Error: one is missing.
        """
        found = self._match(list(args), dict(kwargs))
        for value in (*found.positional, *found.keywords.values()):
            if isinstance(value, dict):
                self._tell("Dictionaries as inputs have only partial support in PopTorch.")
        return found.map(self._prepare)

    def _match(self, args: list[Any], kwargs: dict[str, Any]) -> Arguments:
        kinds = {parameter.kind for parameter in self._parameters}
        names = [parameter.name for parameter in self._parameters]
        given = len(args) + len(kwargs)
        if not kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
            assert given <= len(names), (
                f"Too many arguments provided: expected {names} ({len(names)}) but got {given}"
            )
            for name in kwargs:
                assert name in names, f"{name} is not a valid parameter. Allowed values are {names}"
        found = Arguments([], [], {})
        for parameter in self._parameters:
            name, kind = parameter.name, parameter.kind
            if kind == inspect.Parameter.VAR_KEYWORD:
                found.keywords.update(kwargs)
            elif kind == inspect.Parameter.VAR_POSITIONAL:
                found.positional.extend(args)
                found.names.extend(f"*{name}[{number}]" for number in range(len(args)))
                args = []
            elif args:
                assert name not in kwargs, f"Parameter {name} was passed more than once"
                found.positional.append(args.pop(0))
                found.names.append(name)
            else:
                value = kwargs.pop(name, parameter.default)
                if value is inspect.Parameter.empty:
                    raise Error(f"Mandatory parameter {name} missing")
                if kind == inspect.Parameter.KEYWORD_ONLY:
                    found.keywords[name] = value
                else:
                    found.positional.append(value)
                    found.names.append(name)
        return found

    def _prepare(self, tensor: Tensor) -> Tensor:
        if not tensor.is_contiguous():
            self._tell(
                "At least one input tensor is not contiguous: non-contiguous tensors will be "
                "converted."
            )
            tensor = tensor.contiguous()
        if tensor.requires_grad:
            self._tell("Input tensor has requires_grad=True set. This tensor will be detached.")
            tensor = tensor.detach()
        return tensor

    def _tell(self, message: str) -> None:
        """Once for each message: these come with every call."""
        if message not in self._told:
            self._told.add(message)
            log.warning(message)


def check_same(compiled: Arguments, called: Arguments) -> None:
    """Raise Error where a call differs from the one the model was compiled with.

    Types, lengths, keys, dtypes and shapes must be equal, and so must everything that is no tensor:
    it is part of the compiled program.
    """
    expected, got = len(compiled.positional), len(called.positional)
    if expected != got:
        raise Error(
            f"Number of positional arguments mismatch: expected {expected} arguments but got "
            f"{got}.{RECOMPILE}"
        )
    for name, before, now in zip(compiled.names, compiled.positional, called.positional):
        _check(name, before, now)
    _check_keys("named arguments", compiled.keywords, called.keywords)
    for name, before in compiled.keywords.items():
        _check(name, before, called.keywords[name])


def _check(name: str, before: Any, now: Any) -> None:
    if type(before) is not type(now) and not (
        isinstance(before, Tensor) and isinstance(now, Tensor)
    ):
        _mismatch("Type", name, type(before), type(now))
    if isinstance(before, Tensor):
        if before.dtype != now.dtype:
            _mismatch("Data type", name, before.dtype, now.dtype)
        if before.shape != now.shape:
            _mismatch("Shape", name, before.shape, now.shape)
    elif isinstance(before, (tuple, list)):
        if len(before) != len(now):
            _mismatch("Length", name, f"{len(before)} elements", len(now))
        for number, (one, other) in enumerate(zip(before, now)):
            _check(f"{name}[{number}]", one, other)
    elif isinstance(before, dict):
        _check_keys(name, before, now)
        for key, value in before.items():
            _check(f"{name}[{key}]", value, now[key])
    elif before != now:
        _mismatch("Value", name, before, now)


def _check_keys(name: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    details = [
        f"{kind} arguments: {', '.join(sorted(map(str, keys)))}"
        for kind, keys in (
            ("Unexpected", set(now) - set(before)),
            ("Missing", set(before) - set(now)),
        )
        if keys
    ]
    if details:
        raise Error(f"Keys mismatch for {name}: {'. '.join(details)}.{RECOMPILE}")


def _mismatch(kind: str, name: str, expected: Any, got: Any) -> None:
    raise Error(f"{kind} mismatch for {name}: expected {expected} but got {got}.{RECOMPILE}")
