"""`gnnpack bench packing [distributions=qm9] [sweep_to=260] [cutoff=6.0]`."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gnnpack.commands.arguments import parse_arguments

if TYPE_CHECKING:
    from gnnpack.bench.packing_settings import PackingSettings


@dataclass
class Arguments:
    """The paper's figures that need no accelerator: sizes, fill, slots, neighbours; all optional.

    Writes bench.json, bench.md and bench.png; results names a folder for a dated copy.
    """

    distributions: str = ""
    sweep_to: str = ""
    cutoff: str = ""
    num_clusters: str = ""
    data_dir: str = ""
    out: str = "outputs/bench"
    results: str = ""


def main() -> None:
    """Work the figures out, print the tables, write bench.json, bench.md and bench.png."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = parse_arguments(Arguments, sys.argv[1:], "gnnpack bench packing")
    try:
        written = measure(arguments)
    except (ValueError, OSError) as error:
        raise SystemExit(f"gnnpack bench packing: {error}") from error
    print(f"\nreport: {', '.join(map(str, written))}")


def measure(arguments: Arguments) -> list[Path]:
    """Run the benchmark; returns the Markdown files it wrote."""
    from gnnpack import bench
    from gnnpack.bench.packing_bench import packing, write_packing_report

    settings = parse_settings(arguments)
    # Made before the minutes of work: a folder one may not write to shows at once.
    if arguments.results:
        bench.results_folder(arguments.results)
    folder = bench.claim_report_folder(arguments.out, "packing")
    try:
        report = packing(settings, sys.argv)
        written = write_packing_report(report, folder, arguments.results)
    except BaseException:
        if not any(folder.iterdir()):
            folder.rmdir()
        raise
    bench.print_report(report)
    return written


def parse_settings(arguments: Arguments) -> PackingSettings:
    """Lists and numbers from text; ValueError naming the argument that is none."""
    from gnnpack.bench.packing_settings import PackingSettings

    values: dict[str, object] = {}
    if arguments.distributions:
        values["distributions"] = tuple(arguments.distributions.split(","))
    if arguments.data_dir:
        values["data_dir"] = arguments.data_dir
    numbers = (("sweep_to", int, "260"), ("cutoff", float, "6.0"), ("num_clusters", int, "10000"))
    for name, kind, example in numbers:
        text = getattr(arguments, name)
        if text:
            try:
                values[name] = kind(text)
            except ValueError:
                raise ValueError(
                    f"{name}={text} is not a number; write {name}={example}."
                ) from None
    return PackingSettings(**values)  # type: ignore[arg-type]
