"""What a run trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts

AUTO = "auto"


def accelerator_of(run: RunFacts) -> str:
    """The option that was chosen, else the name of what was made; "" if it is not known.

    ``auto`` is what it found: gpu or cpu.
    """
    node = run.config.get("accelerator")
    target = str(node.get("_target_", "")) if isinstance(node, Mapping) else ""
    chosen = run.options.get("accelerator") or target.split(".")[-1]
    return _found(run) if chosen == AUTO else chosen


def _found(run: RunFacts) -> str:
    machine = run.record.get("machine")
    if not isinstance(machine, Mapping):
        return AUTO
    return "gpu" if machine.get("gpus") else "cpu"
