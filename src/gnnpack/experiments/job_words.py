"""How a job of a sweep ended, as people read it."""

from __future__ import annotations

from typing import Any, Mapping

from gnnpack.experiments.run_folder import RunFacts


def outcome(facts: RunFacts) -> str:
    """How a job ended, in a line."""
    parts = [facts.state if facts.reason is None else f"{facts.state}: {facts.reason}"]
    parts += figures(facts.summary)
    return ", ".join(parts)


def figures(summary: Mapping[str, Any]) -> list[str]:
    """Test error, rate and seconds of a summary, as far as they are there."""
    return [text for text in (error(summary), rate(summary), seconds(summary)) if text]


def error(summary: Mapping[str, Any]) -> str:
    """E.g. ``24.9 meV``; "" if there is none."""
    value, unit = summary.get("test_mae"), str(summary.get("unit", ""))
    if not isinstance(value, (int, float)):
        return ""
    if unit == "eV":
        value, unit = 1000 * value, "meV"
    return f"{value:,.1f} {unit}" if value >= 10 else f"{value:.3g} {unit}"


def rate(summary: Mapping[str, Any]) -> str:
    """E.g. ``5,400 molecules/s``; "" if it was not measured."""
    value = summary.get("train_molecules_per_second")
    return f"{value:,.0f} molecules/s" if isinstance(value, (int, float)) else ""


def seconds(summary: Mapping[str, Any]) -> str:
    """E.g. ``38 s``; "" if it was not measured."""
    value = summary.get("wall_seconds")
    return f"{value:,.0f} s" if isinstance(value, (int, float)) else ""
