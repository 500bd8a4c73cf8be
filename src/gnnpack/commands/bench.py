"""`gnnpack bench [dataset=qm9] [batch_size=256,64] [repeats=7] [out=outputs/bench]`.

`gnnpack bench WORD` runs another benchmark than the overview, see `BENCHMARKS`.
"""

from __future__ import annotations

import importlib
import logging
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from gnnpack.commands.arguments import parse_arguments

if TYPE_CHECKING:
    from gnnpack.bench import OverviewSettings

# First words and the modules whose main() they run.
BENCHMARKS = {
    "packers": "gnnpack.commands.bench_packers",
    "packing": "gnnpack.commands.bench_packing",
    "compare": "gnnpack.commands.bench_compare",
    "gpu": "gnnpack.commands.bench_gpu",
}


@dataclass
class Arguments:
    """Time everything from the store to whole training runs, beside PyG; all optional.

    Others: gnnpack bench packers compares packers, gnnpack bench packing draws the paper's figures
    of packing, gnnpack bench gpu measures a CUDA GPU,
    gnnpack bench compare A B compares two reports.
    """

    dataset: str = ""
    num_molecules: str = ""
    batch_size: str = ""
    repeats: str = ""
    run_molecules: str = ""
    sections: str = ""
    data_dir: str = ""
    out: str = "outputs/bench"


def main() -> None:
    """Run the benchmark that a bare first word names, else the overview."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    if not word or "=" in word or word.startswith("-"):
        overview()
        return
    if word not in BENCHMARKS:
        raise SystemExit(
            f"gnnpack bench: no benchmark {word!r}; there is {', '.join(BENCHMARKS)}, and without "
            "a word the overview. Arguments are written key=value."
        )
    sys.argv = [f"{sys.argv[0]} {word}", *sys.argv[2:]]
    importlib.import_module(BENCHMARKS[word]).main()


def overview() -> None:
    """Measure, print the tables, write bench.json, bench.md and bench.png."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = parse_arguments(Arguments, sys.argv[1:], "gnnpack bench")
    try:
        folder = measure(arguments)
    except (ValueError, OSError) as error:
        raise SystemExit(f"gnnpack bench: {error}") from error
    print(f"\nreport: {folder / 'bench.md'}, {folder / 'bench.json'}")


def measure(arguments: Arguments) -> Path:
    """Run the overview; returns the folder of its report."""
    from gnnpack import bench

    settings = parse_settings(arguments)
    data = bench.open_data(settings)
    # Claimed before the minutes of measuring: a folder one may not write to shows at once.
    folder = bench.claim_report_folder(arguments.out, data.dataset.name)
    try:
        report = bench.overview(data, settings, sys.argv)
        bench.write_overview_report(report, folder)
    except BaseException:
        if not any(folder.iterdir()):
            folder.rmdir()
        raise
    bench.print_report(report)
    return folder


def parse_settings(arguments: Arguments) -> OverviewSettings:
    """Numbers from text; ValueError naming the argument that is none."""
    from gnnpack.bench import OverviewSettings

    given = {f.name: getattr(arguments, f.name) for f in fields(arguments) if f.name != "out"}
    values: dict[str, object] = {name: text for name, text in given.items() if text}
    for name in ("num_molecules", "repeats", "run_molecules"):
        if name in values:
            values[name] = _whole_number(name, given[name])
    if "batch_size" in values:
        sizes = given["batch_size"].split(",")
        values["batch_size"] = tuple(_whole_number("batch_size", text) for text in sizes)
    if "sections" in values:
        values["sections"] = tuple(given["sections"].split(","))
    return OverviewSettings(**values)  # type: ignore[arg-type]


def _whole_number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name}={text} is not a whole number; write {name}=256.") from None
