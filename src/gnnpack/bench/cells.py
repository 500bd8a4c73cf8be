"""The cells of a section's table, as text."""

from __future__ import annotations

from typing import Any, Mapping

from gnnpack.bench.section import PYG


def columns(section: Mapping[str, Any], wide: bool = True) -> dict[str, list[str]]:
    """Heading -> cells of a section's table; columns that would be empty are left out.

    wide=False: without the columns that the section keeps for Markdown.
    """
    rows = section["rows"]
    found = {
        "row": [row["label"] for row in rows],
        "time": [duration(row["seconds"]["median"]) for row in rows],
        "p10-p90": [_between(row["seconds"]) for row in rows],
        "molecules/s": [_rate(row["molecules_per_second"]) for row in rows],
        _ratio_heading(section["baseline"]): [_ratio(row, section["baseline"]) for row in rows],
        **{
            name: [_fact(name, row["facts"].get(name)) for row in rows]
            for name in section["columns"]
        },
    }
    hidden = () if wide else section["wide"]
    shown = {name: cells for name, cells in found.items() if any(cells) and name not in hidden}
    return {name.replace("_", " "): cells for name, cells in shown.items()}


def duration(seconds: float) -> str:
    """Three digits, in the unit that suits them.

    >>> duration(0.00000123), duration(0.0456), duration(78.9)
    ('1.23 µs', '45.6 ms', '78.9 s')
    """
    scale, unit = _unit(seconds)
    return f"{_three_digits(seconds / scale)} {unit}"


def _unit(seconds: float) -> tuple[float, str]:
    if seconds >= 1.0:
        return 1.0, "s"
    return (1e-3, "ms") if seconds >= 1e-3 else (1e-6, "µs")


def _between(spread: Mapping[str, float]) -> str:
    # In the median's unit, which the column before shows.
    scale, _ = _unit(spread["median"])
    return " - ".join(_three_digits(spread[end] / scale) for end in ("p10", "p90"))


def _three_digits(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _rate(spread: Mapping[str, float] | None) -> str:
    return "" if spread is None else f"{spread['median']:,.0f}"


def _ratio_heading(baseline: str | None) -> str:
    return "x PyG" if baseline == PYG else f"x {baseline}"


def _ratio(row: Mapping[str, Any], baseline: str | None) -> str:
    if baseline is None or row["times_baseline"] is None:
        return ""
    return "1" if row["name"] == baseline else f"{row['times_baseline']['median']:.2f}"


def _fact(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return duration(value["median"])
    if name.endswith("time"):
        return duration(value)
    if name == "fill":
        return f"{100 * value:.2f} %"
    if name.endswith("percent"):
        # Never rounded up to 100: a last empty slot is still there.
        return f"{min(value, 99.9999) if value < 100 else value:.4f}"
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}"
