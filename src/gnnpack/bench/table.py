"""A report for people: Markdown, and tables on the console."""

from __future__ import annotations

from typing import Any, Mapping

from rich.console import Console
from rich.table import Table

from gnnpack.bench.section import PYG

RATIO_LEGEND = (
    "x PyG: how many times as fast as the PyG row of the same table, the median over the rounds; "
    "tables without this column hold no ratios."
)


def markdown(report: Mapping[str, Any], figure: str | None = None) -> str:
    """The report as Markdown, its birth certificate first; `figure` is a file beside it."""
    lines = [f"# gnnpack bench: {report['bench']}", "", *(f"* {s}" for s in certificate(report))]
    if figure is not None:
        lines += ["", f"![{report['bench']}]({figure})"]
    for section in report["sections"]:
        table = columns(section)
        lines += ["", f"## {section['title']}", "", section["note"], ""]
        lines.append(f"| {' | '.join(table)} |")
        lines.append("|---|" + "---:|" * (len(table) - 1))
        lines += [f"| {' | '.join(cells)} |" for cells in zip(*table.values())]
    return "\n".join([*lines, *(["", RATIO_LEGEND] if _has_ratios(report) else []), ""])


def print_report(report: Mapping[str, Any], console: Console | None = None) -> None:
    """Print the report as rich tables, at most 80 characters wide."""
    console = console or Console()
    for sentence in certificate(report):
        console.print(sentence, highlight=False, markup=False, style="dim")
    for section in report["sections"]:
        console.print()
        console.print(section["title"], style="bold", markup=False)
        console.print(section["note"], highlight=False, markup=False, style="dim")
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
        found = columns(section, wide=False)
        for place, name in enumerate(found):
            # A name of two words takes two lines, so that the column is as narrow as its numbers.
            heading = name.replace("molecules/s", "molecules /s").replace(" ", "\n")
            if place:
                table.add_column(heading, justify="right", vertical="bottom", no_wrap=True)
            else:
                table.add_column(heading, vertical="bottom", overflow="fold")
        for cells in zip(*found.values()):
            table.add_row(*cells)
        console.print(table)
    if _has_ratios(report):
        console.print()
        console.print(RATIO_LEGEND, highlight=False, markup=False, style="dim")


def certificate(report: Mapping[str, Any]) -> list[str]:
    """Date, code, machine, versions, settings and notes, a sentence each."""
    git, machine = report["git"], report["machine"]
    commit = "no commit known" if git["commit"] is None else f"commit {git['commit'][:12]}"
    dirty = ", with changes not committed" if git["dirty"] else ""
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    settings = ", ".join(f"{name}={value}" for name, value in report["settings"].items())
    return [
        f"{report['started']}, {commit}{dirty}",
        f"machine: {machine['cpu']}, {machine['cores']} cores, {machine['os']}",
        f"versions: {versions}",
        f"settings: {settings}",
        f"data: {', '.join(f'{name} {value}' for name, value in report['data'].items())}",
        *report["notes"],
    ]


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
        "x PyG": [_ratio(row) for row in rows],
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


def _ratio(row: Mapping[str, Any]) -> str:
    if row["times_pyg"] is None:
        return ""
    return "1 = PyG" if row["name"] == PYG else f"{row['times_pyg']['median']:.2f}"


def _has_ratios(report: Mapping[str, Any]) -> bool:
    return any(row["times_pyg"] for section in report["sections"] for row in section["rows"])


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
