"""Loggers, throughput meter, run record, summary and figures."""

from gnnpack.tracking.csv_metrics import MetricsCSV
from gnnpack.tracking.error_unit import MEV_PER_EV, error_unit
from gnnpack.tracking.figures import pack_fill, predicted_against_true
from gnnpack.tracking.header import data_line, model_line, plan_line
from gnnpack.tracking.json_file import explain_write_error, write_json
from gnnpack.tracking.loggers import csv_and_wandb, csv_only
from gnnpack.tracking.loss_figure import loss_curves
from gnnpack.tracking.progress import PlainProgress, ProgressBar, progress_callback
from gnnpack.tracking.run_record import run_record
from gnnpack.tracking.summary import SUMMARY_KEYS, print_summary, summary_dict
from gnnpack.tracking.throughput import ThroughputMeter
from gnnpack.tracking.wall_clock import WallClock
from gnnpack.tracking.wandb_run import finish_wandb, wandb_logger

__all__ = [
    "MEV_PER_EV",
    "SUMMARY_KEYS",
    "MetricsCSV",
    "PlainProgress",
    "ProgressBar",
    "ThroughputMeter",
    "WallClock",
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
    "summary_dict",
    "wandb_logger",
    "write_json",
]
