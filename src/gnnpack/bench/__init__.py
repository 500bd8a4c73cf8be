"""Measurements with a birth certificate; rows of one table are timed in turns, in one process."""

from gnnpack.bench.data import BenchData, open_data
from gnnpack.bench.overview import overview
from gnnpack.bench.packers_bench import packers
from gnnpack.bench.packers_report import publish, results_folder, write_packers_report
from gnnpack.bench.packers_settings import PackersSettings
from gnnpack.bench.report import claim_report_folder, write_report
from gnnpack.bench.settings import OverviewSettings
from gnnpack.bench.table import markdown, print_report

__all__ = [
    "BenchData",
    "OverviewSettings",
    "PackersSettings",
    "claim_report_folder",
    "markdown",
    "open_data",
    "overview",
    "packers",
    "print_report",
    "publish",
    "results_folder",
    "write_packers_report",
    "write_report",
]
