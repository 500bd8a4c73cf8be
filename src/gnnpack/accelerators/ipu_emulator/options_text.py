"""Options written as text: POPTORCH_DEFAULT_OPTIONS and option files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from gnnpack.accelerators.ipu_emulator import enums, options_backend, options_locations


class ConfigFileError(Exception):
    """An option file's line is no setter."""


class _PopTorchNames:
    """``poptorch.X`` in an option file."""

    def __getattr__(self, name: str) -> Any:
        for module in (enums, options_backend, options_locations):
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(f"poptorch.{name} is not known in an option file.")


def apply_environment(options: Any, text: str) -> None:
    """Apply a JSON object: setter's dotted name -> its argument, or the list of its arguments.

    Raises:
        ValueError: no JSON object, or no such setter.
    """
    if not text:
        return
    try:
        settings = json.loads(text)
        assert isinstance(settings, dict), "not an object"
    except (ValueError, AssertionError) as reason:
        raise ValueError(
            f"POPTORCH_DEFAULT_OPTIONS is {text!r}: {reason}. Write a JSON object such as "
            '{"deviceIterations": 4}, or unset it.'
        ) from reason
    for name, value in settings.items():
        setter = options
        for part in name.split("."):
            if not hasattr(setter, part):
                raise ValueError(
                    f"POPTORCH_DEFAULT_OPTIONS sets {name!r}, which Options has not. "
                    "Correct the name, or unset the variable."
                )
            setter = getattr(setter, part)
        setter(*(_member(part) for part in (value if isinstance(value, list) else [value])))


def _member(value: Any) -> Any:
    """``"ConnectionType.OnDemand"`` as the enumeration's member; all else as it is."""
    if isinstance(value, str) and value.count(".") == 1:
        name, member = value.split(".")
        enumeration = getattr(enums, name, None)
        if enumeration is not None and hasattr(enumeration, "__members__"):
            return enumeration[member]
    return value


def apply_file(options: Any, path: str) -> None:
    """Apply each line as a setter; empty lines and comments are skipped.

    The lines are Python, as in PopTorch: load only files you trust.

    Raises:
        ConfigFileError: a line is not Python.
    """
    file = Path(path)
    names = {"options": options, "poptorch": _PopTorchNames(), "torch": torch}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        setter = line.strip()
        if not setter or setter.startswith("#"):
            continue
        try:
            code = compile(f"options.{setter}", file.name, "eval")
        except SyntaxError as reason:
            raise ConfigFileError(
                f"SyntaxError at line {number} of {file.name}: {reason.msg}\n> options.{setter}"
            ) from reason
        eval(code, names)
