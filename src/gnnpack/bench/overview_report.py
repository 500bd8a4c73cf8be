"""The files of a report of `overview`: JSON, Markdown and figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping

from gnnpack.bench.overview_figure import overview_figure
from gnnpack.bench.report import write_report


def write_overview_report(report: Mapping[str, Any], folder: Path) -> None:
    """Write bench.json, bench.md and, where training was measured, bench.png.

    OSError with the cure when the disk refuses.
    """
    drawn = overview_figure(report, folder / "bench.png")
    write_report(report, folder, figure="bench.png" if drawn else None)
