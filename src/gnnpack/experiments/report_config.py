"""Configs as flat names, and which of them differ between runs."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from gnnpack.experiments.content_key import LEFT_OUT

SEED = "seed"
ABSENT = "absent"


def flat(config: Mapping[str, Any]) -> dict[str, str]:
    """All values of a nested config as text under dotted names, without paths and cosmetics.

    >>> flat({"seed": 0, "packer": {"_target_": "gnnpack.packing.lpfhp"}, "logger": {"a": 1}})
    {'seed': '0', 'packer': 'lpfhp'}
    """
    found: dict[str, str] = {}
    for key, value in config.items():
        _walk(value, str(key), found)
    return found


def _walk(node: Any, name: str, found: dict[str, str]) -> None:
    if name in LEFT_OUT:
        return
    if isinstance(node, Mapping) and node:
        for key, child in node.items():
            inside = name if key == "_target_" else f"{name}.{key}"
            # _partial_ and _convert_ tell how a thing is made, which its _target_ decides.
            if key == "_target_" or not str(key).startswith("_"):
                _walk(child, inside, found)
        return
    text = "null" if node is None else str(node).lower() if isinstance(node, bool) else str(node)
    found[name] = _class_name(text) if text.startswith(("gnnpack.", "torch.")) else text


def _class_name(path: str) -> str:
    return path.rsplit(".", 1)[-1]


def differing(configs: Sequence[Mapping[str, str]]) -> list[str]:
    """Names whose values are not the same in all flat configs, in the order they are met."""
    if not configs:
        return []
    names = dict.fromkeys(name for config in configs for name in config)
    first = configs[0]
    return [n for n in names if any(config.get(n) != first.get(n) for config in configs)]


def telling(configs: Sequence[Mapping[str, str]], names: Sequence[str]) -> list[str]:
    """Of the differing ``names`` those that tell the configs apart, not what comes along with them.

    A key that only some configs have (an option of one packer) comes along with the choice that
    brings it, unless it differs among them. One whose values go with another's is told once.
    """
    kept: list[str] = []
    columns: set[tuple[str, ...]] = set()
    for name in sorted(names, key=lambda name: name.count(".")):
        values = [config[name] for config in configs if name in config]
        parents = {name.rsplit(".", depth)[0] for depth in range(1, name.count(".") + 1)}
        everywhere = len(values) == len(configs)
        column = tuple(config.get(name, ABSENT) for config in configs)
        if column not in columns and (
            everywhere or len(set(values)) > 1 or not parents & set(names)
        ):
            kept.append(name)
            columns.add(column)
    return [name for name in names if name in kept]


def short_names(names: Sequence[str]) -> dict[str, str]:
    """The last part of each name where no other name ends with it, else the whole name.

    >>> short_names(["model.filter.order", "seed", "a.lr", "b.lr"])
    {'model.filter.order': 'order', 'seed': 'seed', 'a.lr': 'a.lr', 'b.lr': 'b.lr'}
    """
    ends = [name.rsplit(".", 1)[-1] for name in names]
    return {name: end if ends.count(end) == 1 else name for name, end in zip(names, ends)}
