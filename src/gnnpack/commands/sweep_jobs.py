"""From parameters, variants and a command line to the jobs of a sweep, each a list of overrides."""

from __future__ import annotations

import itertools
import re
from typing import Any, Mapping, NamedTuple, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import ListConfig


class Combination(NamedTuple):
    """One value of everything that is swept.

    Attributes:
        overrides: key -> override as Hydra reads it, e.g. ``packer`` -> ``packer=lpfhp``.
        values: key -> value as typed.
    """

    overrides: dict[str, str]
    values: dict[str, str]


def combinations(
    params: Mapping[str, Any], command_line: Sequence[str], *, parser: OverridesParser
) -> list[Combination]:
    """Every combination of what ``params`` and the command line, which comes first, sweep.

    Raises:
        ValueError: something is swept in a way that has no list of values.
    """
    texts = [f"{key}={as_text(value)}" for key, value in params.items()]
    choices: dict[str, list[tuple[str, str]]] = {}
    for override in parser.parse_overrides([*texts, *command_line]):
        key = override.get_key_element()
        # A later one is written at its own place: what comes last wins.
        choices.pop(key.lstrip("+~"), None)
        choices[key.lstrip("+~")] = [(as_override(key, v), v) for v in values_of(override)]
    return [
        Combination(
            {key: text for key, (text, _) in zip(choices, chosen)},
            {key: value for key, (_, value) in zip(choices, chosen)},
        )
        for chosen in itertools.product(*choices.values())
    ]


def values_of(override: Override) -> list[str]:
    """The values an override stands for, one if it is no sweep.

    Raises:
        ValueError: it is a sweep without a list of values.
    """
    if not override.is_sweep_override():
        return [override.get_value_element_as_str()]
    if not override.is_discrete_sweep():
        raise ValueError(
            f"{override.input_line}: a sweep tries every value, so it needs a list of them, e.g. "
            "0.1,0.2. For intervals search with Optuna; see docs/sweeps.md."
        )
    return list(override.sweep_string_iterator())


def as_override(key: str, value: str) -> str:
    """``key=value``; a deleted key without a value stays ``~key``."""
    return key if key.startswith("~") and value == "" else f"{key}={value}"


def as_text(value: Any) -> str:
    """A value of ``hydra.sweeper.params`` as one would type it: a list is a list of choices."""
    if isinstance(value, (list, tuple, ListConfig)):
        return ",".join(_as_one_text(one) for one in value)
    return _as_one_text(value)


def _as_one_text(value: Any) -> str:
    """One choice; a list in it is one list, in brackets."""
    if isinstance(value, (list, tuple, ListConfig)):
        return f"[{','.join(_as_one_text(one) for one in value)}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}: {_as_one_text(one)}" for key, one in value.items()) + "}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def variant_overrides(variants: Mapping[str, Any], accelerator: str) -> dict[str, list[str] | None]:
    """Name -> overrides of each variant for an accelerator; None = it has none for that one.

    Raises:
        ValueError: a variant is neither a list nor a mapping of accelerators to lists.
    """
    found: dict[str, list[str] | None] = {}
    for name, content in variants.items():
        chosen = content.get(accelerator) if isinstance(content, Mapping) else content
        if chosen is not None and (
            isinstance(chosen, str) or not all(isinstance(one, str) for one in chosen)
        ):
            raise ValueError(
                f"hydra.sweeper.variants.{name} is {content!r}; give a list of overrides such as "
                "[packer=lpfhp], or such a list for each accelerator."
            )
        found[str(name)] = None if chosen is None else list(chosen)
    return found


def with_variant(
    combination: Combination, overrides: Sequence[str], *, parser: OverridesParser
) -> list[str]:
    """A job's overrides: the variant's, and those of the combination, which win."""
    kept = {}
    for override in parser.parse_overrides(list(overrides)):
        key = override.get_key_element()
        if override.is_sweep_override():
            raise ValueError(f"{override.input_line}: a variant has one value of each key.")
        kept[key.lstrip("+~")] = as_override(key, override.get_value_element_as_str())
    return list({**kept, **combination.overrides}.values())


def what_differs(all_values: Sequence[Mapping[str, str]]) -> list[str]:
    """Keys in which the jobs differ, in the order typed.

    >>> what_differs([{"a": "1", "b": "2"}, {"a": "1", "b": "3"}])
    ['b']
    """
    keys = dict.fromkeys(key for values in all_values for key in values)
    return [key for key in keys if len({values.get(key) for values in all_values}) > 1]


def sweep_name(chosen: str | None, sweeper: Mapping[str, Any], command_line: Sequence[str]) -> str:
    """The sweep's folder: the option of ``sweeps``, else what is swept.

    >>> sweep_name(None, {}, ["packer=lpfhp,optimal", "optimizer.lr=1e-3,1e-4", "seed=0"])
    'packer_optimizer.lr'
    """
    if chosen not in (None, "null"):
        return str(chosen)
    overrides = OverridesParser.create().parse_overrides(list(command_line))
    swept = [one.key_or_group for one in overrides if one.is_sweep_override()]
    swept = [*(sweeper.get("variants") or {}), *(sweeper.get("params") or {}), *swept]
    return "_".join(re.sub(r"[^A-Za-z0-9.-]+", "-", key) for key in dict.fromkeys(swept)) or "jobs"


def quoted(value: str) -> str:
    """Text as Hydra reads it back, whatever is in it.

    >>> quoted("a'b")
    "'a\\\\'b'"
    """
    value = re.sub(r"(\\+)($|')", r"\1\1\2", value)
    return "'" + value.replace("'", "\\'") + "'"
