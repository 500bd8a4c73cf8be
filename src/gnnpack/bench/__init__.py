"""Measurements with a birth certificate; rows of one table are timed in turns, in one process."""

from gnnpack.bench.compare import compare, print_comparison, read_report
from gnnpack.bench.data import BenchData, open_data
from gnnpack.bench.overview import overview
from gnnpack.bench.overview_report import write_overview_report
from gnnpack.bench.packers_bench import packers
from gnnpack.bench.packers_report import publish, results_folder, write_packers_report
from gnnpack.bench.packers_settings import PackersSettings
from gnnpack.bench.report import claim_report_folder
from gnnpack.bench.settings import OverviewSettings
from gnnpack.bench.table import markdown, print_report

__all__ = [
    "BenchData",
    "OverviewSettings",
    "PackersSettings",
    "claim_report_folder",
    "compare",
    "markdown",
    "open_data",
    "overview",
    "packers",
    "print_comparison",
    "print_report",
    "publish",
    "read_report",
    "results_folder",
    "write_overview_report",
    "write_packers_report",
]
