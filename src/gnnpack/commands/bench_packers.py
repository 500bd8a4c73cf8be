"""`gnnpack bench packers [distributions=qm9,hydronet_2.7m] [sizes=54,72] [repeats=5]`."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from gnnpack.commands.arguments import parse_arguments

if TYPE_CHECKING:
    from gnnpack.bench.packers_settings import PackersSettings


@dataclass
class Arguments:
    """Compare all packers: packs, proven bound, time and memory; all arguments are optional."""

    distributions: str = ""
    sizes: str = ""
    num_molecules: str = ""
    repeats: str = ""
    sweep_to: str = ""
    data_dir: str = ""
    out: str = "outputs/bench"
    results: str = ""


def main() -> None:
    """Measure, print the tables, write bench.json, bench.md and bench.png."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = parse_arguments(Arguments, sys.argv[1:], "gnnpack bench packers")
    try:
        written = measure(arguments)
    except (ValueError, OSError) as error:
        raise SystemExit(f"gnnpack bench packers: {error}") from error
    print(f"\nreport: {', '.join(map(str, written))}")


def measure(arguments: Arguments) -> list[Path]:
    """Run the benchmark; returns the Markdown files it wrote."""
    from gnnpack import bench

    settings = parse_settings(arguments)
    # Made before the minutes of measuring: a folder one may not write to shows at once.
    if arguments.results:
        bench.results_folder(arguments.results)
    folder = bench.claim_report_folder(arguments.out, "packers")
    try:
        report = bench.packers(settings, sys.argv)
        bench.write_packers_report(report, folder)
    except BaseException:
        if not any(folder.iterdir()):
            folder.rmdir()
        raise
    bench.print_report(report)
    written = [folder / "bench.md"]
    if arguments.results:
        written.append(bench.publish(report, arguments.results))
    return written


def parse_settings(arguments: Arguments) -> PackersSettings:
    """Lists and numbers from text; ValueError naming the argument that is none."""
    from gnnpack.bench import PackersSettings

    given = {
        f.name: getattr(arguments, f.name) for f in fields(PackersSettings) if f.name != "seed"
    }
    values: dict[str, object] = {name: text for name, text in given.items() if text}
    for name in ("num_molecules", "repeats", "sweep_to"):
        if name in values:
            values[name] = _whole_number(name, given[name])
    if "distributions" in values:
        values["distributions"] = tuple(given["distributions"].split(","))
    if "sizes" in values:
        values["sizes"] = tuple(_whole_number("sizes", text) for text in given["sizes"].split(","))
    return PackersSettings(**values)  # type: ignore[arg-type]


def _whole_number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        example = "54,72" if name == "sizes" else "256"
        raise ValueError(f"{name}={text} is not a whole number; write {name}={example}.") from None
