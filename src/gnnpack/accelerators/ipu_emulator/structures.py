"""Tuples, lists and dicts of tensors: what goes into a model and comes out of it."""

from __future__ import annotations

from typing import Any, Callable

from torch import Tensor


def tensors_of(structure: Any) -> list[Tensor]:
    """The tensors of nested tuples, lists and dicts, in order."""
    found: list[Tensor] = []
    map_tensors(structure, found.append)
    return found


def map_tensors(structure: Any, function: Callable[[Tensor], Any]) -> Any:
    """The same structure with ``function`` of each tensor in its place; all else stays."""
    if isinstance(structure, Tensor):
        return function(structure)
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*(map_tensors(value, function) for value in structure))
    if isinstance(structure, (tuple, list)):
        return type(structure)(map_tensors(value, function) for value in structure)
    if isinstance(structure, dict):
        return {key: map_tensors(value, function) for key, value in structure.items()}
    return structure
