"""Two reports of one benchmark, row by row: what changed by more than its spread."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Mapping, NamedTuple

from rich.console import Console

from gnnpack.bench.cells import duration
from gnnpack.bench.report import FORMAT_VERSION
from gnnpack.bench.table import make_table

SAME, FASTER, SLOWER = "", "faster", "slower"
HEADINGS = (
    "first",
    "second",
    "times\nas fast",
    "first\nratio",
    "second\nratio",
    "beyond\nspread",
)


class Change(NamedTuple):
    """One row of both reports; spreads are mappings of median, p10 and p90."""

    section: str
    row: str
    seconds: tuple[Mapping[str, float], Mapping[str, float]]
    ratios: tuple[Mapping[str, float], Mapping[str, float]] | None

    @property
    def times(self) -> float:
        """How many times as fast the second is."""
        return self.seconds[0]["median"] / self.seconds[1]["median"]

    @property
    def verdict(self) -> str:
        """Whether the second is faster or slower beyond the spreads of both.

        By the ratios where there are such: a machine that is slower today cancels in them.
        """
        if self.ratios is not None:
            return _verdict(*self.ratios)
        first, second = self.seconds
        return _verdict(second, first)


class Comparison(NamedTuple):
    """Two reports side by side.

    warnings: why differences may not be the code's. only: rows that one report alone has.
    """

    changes: list[Change]
    warnings: list[str]
    only: list[str]


def read_report(path: str) -> dict[str, Any]:
    """A report from its JSON file or from the folder of it; ValueError where there is none."""
    file = Path(path)
    if file.is_dir():
        file = file / "bench.json"
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"{path}: there is no report ({error}). Give a bench.json or the folder it lies in, "
            "such as outputs/bench/DATE_NAME."
        ) from error
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}). Give a bench.json.") from error
    if not isinstance(report, dict) or not {"bench", "format_version", "sections"} <= set(report):
        raise ValueError(f"{path} is no report of gnnpack bench. Give a bench.json.")
    if report["format_version"] != FORMAT_VERSION:
        raise ValueError(
            f"{path} is of format {report['format_version']}, and this gnnpack reads "
            f"{FORMAT_VERSION}. Measure again, or compare with the gnnpack that wrote it."
        )
    return report


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> Comparison:
    """Compare two reports; ValueError when they are of different benchmarks."""
    if first["bench"] != second["bench"]:
        raise ValueError(
            f"The first report is of the benchmark {first['bench']}, the second of "
            f"{second['bench']}: they have no rows in common. Compare two of one kind."
        )
    ours, theirs = _rows(first), _rows(second)
    changes = [_change(key, ours[key], theirs[key]) for key in ours if key in theirs]
    only = [f"{' / '.join(key)}: the first alone" for key in ours if key not in theirs]
    only += [f"{' / '.join(key)}: the second alone" for key in theirs if key not in ours]
    return Comparison(changes, list(_warnings(first, second)), only)


def print_comparison(found: Comparison, console: Console | None = None) -> None:
    """Print the warnings and the table."""
    console = console or Console()
    for warning in found.warnings:
        console.print(f"warning: {warning}", markup=False, highlight=False)
    table = make_table(["section / row", *HEADINGS])
    for change in found.changes:
        ratios = (
            ("", "")
            if change.ratios is None
            else tuple(f"{one['median']:.2f}" for one in change.ratios)
        )
        table.add_row(
            f"{change.section} / {change.row}",
            *(duration(one["median"]) for one in change.seconds),
            f"{change.times:.2f}",
            *ratios,
            change.verdict,
        )
    console.print(table)
    for line in found.only:
        console.print(line, markup=False, highlight=False, style="dim")


def _rows(report: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {
        (section["name"], row["name"]): {**row, "baseline": section["baseline"]}
        for section in report["sections"]
        for row in section["rows"]
    }


def _change(key: tuple[str, str], one: Mapping[str, Any], other: Mapping[str, Any]) -> Change:
    ratios = None
    # The baseline's own ratio is always 1 and says nothing of it.
    if (
        one["times_baseline"]
        and other["times_baseline"]
        and one["baseline"] == other["baseline"] != key[1]
    ):
        ratios = one["times_baseline"], other["times_baseline"]
    return Change(*key, (one["seconds"], other["seconds"]), ratios)


def _verdict(first: Mapping[str, float], second: Mapping[str, float]) -> str:
    """Of two spreads of something that is better when larger."""
    if second["p10"] > first["p90"]:
        return FASTER
    return SLOWER if second["p90"] < first["p10"] else SAME


def _warnings(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    found = []
    if first["git"]["commit"] != second["git"]["commit"]:
        found.append(f"commits differ: {first['git']['commit']} and {second['git']['commit']}.")
    for number, report in (("first", first), ("second", second)):
        if report["git"]["dirty"]:
            found.append(f"the {number} report is of code with changes not committed.")
    for group in ("machine", "versions", "settings", "data"):
        names = {**first[group], **second[group]}
        pairs = [(name, first[group].get(name), second[group].get(name)) for name in names]
        differing = [f"{name} {one} and {other}" for name, one, other in pairs if one != other]
        if differing:
            found.append(f"{group} differ: {'; '.join(differing)}.")
    return found
