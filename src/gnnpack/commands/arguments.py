"""key=value arguments of the small commands."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Sequence, TypeVar

T = TypeVar("T")


def parse_arguments(schema: type[T], arguments: Sequence[str], command: str) -> T:
    """Fill the dataclass ``schema``, whose fields are all text, from ``key=value`` arguments.

    Raises:
        SystemExit: after saying which argument is wrong or missing, and what there is.
    """
    known = {field.name: field for field in fields(schema)}  # type: ignore[arg-type]
    needed = [name for name, field in known.items() if field.default is MISSING]
    shown = {name: field.metadata.get("shown", name) for name, field in known.items()}
    usage = " ".join(
        [
            command,
            *(
                f"{shown[n]}=..." if n in needed else f"[{shown[n]}={known[n].default}]"
                for n in known
            ),
        ]
    )
    if any(argument in ("-h", "--help") for argument in arguments):
        print(f"{schema.__doc__}\n\nusage: {usage}")
        raise SystemExit(0)
    values = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or key not in known:
            raise SystemExit(f"{command}: {argument!r} is not an argument.\nusage: {usage}")
        values[key] = value
    missing = ", ".join(name for name in needed if name not in values)
    if missing:
        raise SystemExit(f"{command}: give a value for {missing}.\nusage: {usage}")
    return schema(**values)
