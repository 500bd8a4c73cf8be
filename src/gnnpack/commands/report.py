"""`gnnpack report PATHS... [out=FOLDER] [title=WORDS]`."""

from __future__ import annotations

import logging
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Sequence

from gnnpack.commands.arguments import parse_arguments

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts

COMMAND = "gnnpack report"


@dataclass
class Arguments:
    """One HTML page, and PNG and SVG figures, about all runs in and below some folders.

    PATHS are run folders, sweeps, or folders above them, such as outputs/sweeps/packer_ablation.
    The page is report.html in the folder `report` of the one path, or below outputs/reports/.
    """

    out: str = ""
    title: str = ""


def main() -> None:
    """Write the report and say where it is."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    words = sys.argv[1:]
    # A folder's name may hold a "=", too.
    named = [word for word in words if word.startswith(("out=", "title=", "-"))]
    paths = [Path(word) for word in words if word not in named]
    arguments = parse_arguments(Arguments, named, f"{COMMAND} PATHS...")
    try:
        print(f"report: {report(paths, arguments)}")
    except (ValueError, OSError) as error:
        raise SystemExit(f"{COMMAND}: {error}") from error


def report(paths: Sequence[Path], arguments: Arguments) -> Path:
    """Write the report; returns the page. ValueError or OSError with the cure."""
    if not paths:
        raise ValueError(
            "Name the folders of runs or sweeps to report on: gnnpack report outputs/sweeps/NAME."
        )
    # Imported here: `gnnpack report --help` need not wait for them.
    from gnnpack.experiments.find_runs import find_runs
    from gnnpack.experiments.report import write_report

    runs = find_runs(paths)
    if not runs:
        print(f"No runs were found below {', '.join(map(str, paths))}.", file=sys.stderr)
    folder = Path(arguments.out) if arguments.out else default_folder(paths)
    command = shlex.join([*COMMAND.split(), *sys.argv[1:]])
    return write_report(runs, folder, title=arguments.title or default_title(runs), command=command)


def default_folder(paths: Sequence[Path]) -> Path:
    """``report`` inside the one path, or a new folder below outputs/reports/."""
    if len(paths) == 1:
        return (paths[0] if paths[0].is_dir() else paths[0].parent) / "report"
    from gnnpack.bench.report import claim_report_folder

    return claim_report_folder("outputs/reports", f"{len(paths)}_folders")


def default_title(runs: Sequence[RunFacts]) -> str:
    """The sweep's or the run's name, or how many runs there are."""
    sweeps = {run.sweep for run in runs}
    if len(runs) == 1:
        return f"Run {runs[0].name}"
    if len(sweeps) == 1 and None not in sweeps:
        return f"Sweep {sweeps.pop()}"
    return f"{len(runs):,} runs" if runs else "No runs"
