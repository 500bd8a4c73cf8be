"""What a run of a scaling question is: devices, molecules of an update, and how steps are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, NamedTuple, Sequence

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts

PLAIN = ("single_device", "auto", "ddp")
"""Strategies that make one update a call; which of them follows from the number of devices."""


class Setting(NamedTuple):
    """One answer to the question.

    Args:
        way: how steps are made: strategy ("" = plain), updates a call, place and settings of the
            loader. Runs that differ in it are no points of one line.
    """

    devices: int
    batch: int
    way: tuple[str, str, str]


def setting_of(run: RunFacts) -> Setting | None:
    """Of a run; None where updates are counted in packs, or devices are not told by number."""
    node, batch = run.config.get("accelerator"), run.config.get("batch_size")
    if not isinstance(node, Mapping) or not isinstance(batch, int):
        return None
    number = 1
    for key in ("devices", "num_nodes", "replicas"):
        counted = _number(node.get(key, 1))
        if counted is None:
            return None
        number *= counted
    strategy = _strategy(node, number)
    iterations = node.get("device_iterations")
    calls = "" if iterations is None else f"{iterations} updates a call"
    return Setting(number, batch, (strategy, calls, _loader(run.config.get("loader"), strategy)))


def ways_shown(settings: Sequence[Setting]) -> dict[tuple[str, str, str], str]:
    """Way -> what tells it from the others, with a comma before it; "" if it is the only one."""
    ways = sorted({setting.way for setting in settings})
    differing = [place for place in range(3) if len({way[place] for way in ways}) > 1]
    usual = ("one update a call", "updates a call by default", "no loader told")
    return {way: "".join(f", {way[place] or usual[place]}" for place in differing) for way in ways}


def _number(value: Any) -> int | None:
    """Devices that a setting names: a number, or a list of them; None for -1 and auto."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return len(value) or None
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    told = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    return value if told else None


def _strategy(node: Mapping[str, Any], devices: int) -> str:
    """Name of a strategy that is not plain, as ``auto`` chooses it."""
    chosen = str(node.get("strategy", "auto"))
    if chosen not in PLAIN:
        return chosen
    if chosen == "auto" and devices == 1:
        on_gpu = str(node.get("_target_", "")).endswith(".gpu")
        if on_gpu and node.get("precision") != "16-mixed":
            return "cuda_graph"
        if node.get("device_iterations") is not None and str(node.get("_target_")).endswith("cpu"):
            return "whole_step"
    return ""


def _loader(settings: Any, strategy: str) -> str:
    if not isinstance(settings, Mapping):
        return ""
    told = dict(settings)
    place = told.pop("place", "auto")
    # Where one update is made a call, auto is host.
    place = "host" if place == "auto" and not strategy else place
    if place != "auto":
        told.pop("memory_share", None)
    rest = ", ".join(f"{key} {value}" for key, value in sorted(told.items()))
    return f"loader {place}" + (f" ({rest})" if rest else "")
