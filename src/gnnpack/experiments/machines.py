"""The machines that a run trained on, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from gnnpack.experiments.report_numbers import finite, several

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts


def machines_of(run: RunFacts) -> list[str]:
    """GPUs and CPU of a run in few words, each that its parts ran on; [] where it is not known."""
    return list(dict.fromkeys(filter(None, map(_machine, run.records))))


def _machine(record: Mapping[str, Any]) -> str:
    machine = record.get("machine")
    if not isinstance(machine, dict):
        return ""
    gpus = machine.get("gpus")
    names = [str(name) for name in gpus] if isinstance(gpus, list) else []
    cores = finite(machine.get("cores"))
    cpu = str(machine.get("cpu") or "unknown CPU")
    shown_cpu = cpu if cores is None else f"{cpu}, {several(int(cores), 'core')}"
    counted = [f"{names.count(name)} x {name}" for name in dict.fromkeys(names)]
    return "; ".join([*counted, shown_cpu])
