"""Loggers, throughput meter, run record, summary and figures."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gnnpack.tracking.error_unit import MEV_PER_EV, error_unit
from gnnpack.tracking.figures import pack_fill, predicted_against_true
from gnnpack.tracking.header import data_line, model_line, plan_line
from gnnpack.tracking.json_file import explain_write_error, write_json
from gnnpack.tracking.loss_figure import loss_curves
from gnnpack.tracking.run_record import run_record
from gnnpack.tracking.summary import METERED_KEYS, SUMMARY_KEYS, print_summary, summary_dict

if TYPE_CHECKING:
    from gnnpack.tracking.compile_clock import CompileClock
    from gnnpack.tracking.csv_metrics import MetricsCSV
    from gnnpack.tracking.live import Live
    from gnnpack.tracking.loggers import csv_and_wandb, csv_only
    from gnnpack.tracking.metering import Metering
    from gnnpack.tracking.progress import PlainProgress, ProgressBar, progress_callback
    from gnnpack.tracking.throughput import ThroughputMeter
    from gnnpack.tracking.trace_steps import TraceSteps
    from gnnpack.tracking.wall_clock import WallClock
    from gnnpack.tracking.wandb_run import begin_wandb, finish_wandb, summarize_wandb, wandb_logger

# These need Lightning, which takes seconds to import; who only reads runs does not wait for it.
_WITH_LIGHTNING = {
    "compile_clock": ("CompileClock",),
    "csv_metrics": ("MetricsCSV",),
    "live": ("Live",),
    "loggers": ("csv_and_wandb", "csv_only"),
    "metering": ("Metering",),
    "progress": ("PlainProgress", "ProgressBar", "progress_callback"),
    "throughput": ("ThroughputMeter",),
    "wall_clock": ("WallClock",),
    "trace_steps": ("TraceSteps",),
    "wandb_run": ("begin_wandb", "finish_wandb", "summarize_wandb", "wandb_logger"),
}

__all__ = [
    "METERED_KEYS",
    "MEV_PER_EV",
    "SUMMARY_KEYS",
    "CompileClock",
    "Live",
    "Metering",
    "MetricsCSV",
    "PlainProgress",
    "ProgressBar",
    "ThroughputMeter",
    "TraceSteps",
    "WallClock",
    "begin_wandb",
    "csv_and_wandb",
    "csv_only",
    "data_line",
    "error_unit",
    "explain_write_error",
    "finish_wandb",
    "loss_curves",
    "model_line",
    "pack_fill",
    "plan_line",
    "predicted_against_true",
    "print_summary",
    "progress_callback",
    "run_record",
    "summarize_wandb",
    "summary_dict",
    "wandb_logger",
    "write_json",
]


def __getattr__(name: str) -> Any:
    """Import one of `_WITH_LIGHTNING` when it is first asked for."""
    for module, names in _WITH_LIGHTNING.items():
        if name in names:
            return getattr(importlib.import_module(f"gnnpack.tracking.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
