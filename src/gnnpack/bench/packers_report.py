"""The files of a report of `packers`: JSON, Markdown and figure, and a dated copy of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping

from gnnpack.bench.packers_figure import packers_figure
from gnnpack.bench.report import write_report
from gnnpack.tracking.json_file import explain_write_error


def write_packers_report(report: Mapping[str, Any], folder: Path, name: str = "bench") -> None:
    """Write ``name``.json, .md and .png; OSError with the cure when the disk refuses."""
    packers_figure(report, folder / f"{name}.png")
    write_report(report, folder, name, figure=f"{name}.png")


def results_folder(results: str) -> Path:
    """Make the folder of dated reports; OSError with the cure when it cannot be made."""
    folder = Path(results)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain_write_error(error, folder) from error
    return folder


def publish(report: Mapping[str, Any], results: str) -> Path:
    """Write ``results/<date>_packers`` .json, .md and .png; returns the path of the Markdown.

    A report of the same day is replaced. OSError with the cure when the disk refuses.
    """
    folder, name = results_folder(results), f"{report['started'][:10]}_packers"
    write_packers_report(report, folder, name)
    return folder / f"{name}.md"
