"""A report for people: Markdown, and tables on the console."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from gnnpack.bench.cells import columns

RATIO_LEGEND = (
    "x PyG and its like: how many times as fast as that row of the same table, the median over the "
    "rounds; tables without such a column hold no ratios."
)


def markdown(report: Mapping[str, Any], figure: str | None = None) -> str:
    """The report as Markdown, its birth certificate first; `figure` is a file beside it."""
    lines = [f"# gnnpack bench: {report['bench']}", "", *(f"* {s}" for s in certificate(report))]
    if figure is not None:
        lines += ["", f"![{report['bench']}]({figure})"]
    for section in report["sections"]:
        table = columns(section)
        lines += ["", f"## {section['title']}", "", section["note"], ""]
        cells = _with_rule(list(table), zip(*table.values()))
        lines += [f"| {' | '.join(line)} |" for line in cells]
    lines += ["", RATIO_LEGEND] if _has_ratios(report) else []
    for one in report.get("published", []):
        lines += ["", f"## {one['title']}", "", f"{one['source']}.", ""]
        lines += [f"| {' | '.join(cells)} |" for cells in _with_rule(one["columns"], one["rows"])]
    return "\n".join([*lines, ""])


def print_report(report: Mapping[str, Any], console: Console | None = None) -> None:
    """Print the report as rich tables, at most 80 characters wide."""
    console = console or Console()
    for sentence in certificate(report):
        console.print(sentence, highlight=False, markup=False, style="dim")
    for section in report["sections"]:
        console.print()
        console.print(section["title"], style="bold", markup=False)
        console.print(section["note"], highlight=False, markup=False, style="dim")
        found = columns(section, wide=False)
        # A name of two words takes two lines, so that the column is as narrow as its numbers.
        table = make_table(
            [name.replace("molecules/s", "molecules /s").replace(" ", "\n") for name in found]
        )
        for cells in zip(*found.values()):
            table.add_row(*cells)
        console.print(table)
    if _has_ratios(report):
        console.print()
        console.print(RATIO_LEGEND, highlight=False, markup=False, style="dim")
    for one in report.get("published", []):
        console.print()
        console.print(one["title"], style="bold", markup=False)
        console.print(f"{one['source']}.", highlight=False, markup=False, style="dim")
        table = make_table(one["columns"])
        for cells in one["rows"]:
            table.add_row(*cells)
        console.print(table)


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


def make_table(headings: Sequence[str]) -> Table:
    """Words in the first column, numbers in the others."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(headings[0], vertical="bottom", overflow="fold")
    for heading in headings[1:]:
        table.add_column(heading, justify="right", vertical="bottom", no_wrap=True)
    return table


def _with_rule(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[Sequence[str]]:
    """Markdown's lines of a table: headings, the rule that aligns them, rows."""
    return [headings, ["---", *(["---:"] * (len(headings) - 1))], *rows]


def _has_ratios(report: Mapping[str, Any]) -> bool:
    return any(section["baseline"] for section in report["sections"])
