"""summary.json's keys, and the table that ends a run."""

from __future__ import annotations

import os
from typing import Any

from rich.console import Console
from rich.table import Table

from gnnpack.tracking.error_unit import error_unit

SUMMARY_KEYS = (
    "target",
    "unit",
    "test_mae",
    "val_mae",
    "baseline_mae",
    "train_molecules_per_second",
    "updates",
    "atom_efficiency",
    "num_packs",
    "pack_lower_bound",
    "input_wait_fraction",
    "host_seconds_per_update",
    "graph_captures",
    "graph_recaptures",
    "emulated",
    "num_epochs",
    "first_batch_seconds",
    "wall_seconds",
)


def summary_dict(
    *,
    target: str,
    unit: str,
    test_mae: float,
    val_mae: float,
    baseline_mae: float,
    train_molecules_per_second: float | None,
    updates: int,
    atom_efficiency: float,
    num_packs: int,
    pack_lower_bound: int,
    input_wait_fraction: float | None,
    num_epochs: int,
    wall_seconds: float,
    host_seconds_per_update: float | None = None,
    graph_captures: int | None = None,
    graph_recaptures: int | None = None,
    emulated: bool = False,
    first_batch_seconds: float | None = None,
) -> dict[str, Any]:
    """The content of summary.json: ``SUMMARY_KEYS``, and the errors in meV if the unit is eV.

    ``baseline_mae`` is of predicting the training mean per atom. ``graph_recaptures`` are those of
    the ``graph_captures`` made anew in training. ``emulated``: speeds are those of an emulator,
    not of the hardware it stands for. None = not measured, or there are none.
    """
    summary: dict[str, Any] = {"target": target, "unit": unit}
    errors = {"test_mae": test_mae, "val_mae": val_mae, "baseline_mae": baseline_mae}
    summary.update(errors)
    factor, shown = error_unit(unit)
    if shown != unit:
        summary.update({f"{name}_{shown}": factor * value for name, value in errors.items()})
    summary.update(
        train_molecules_per_second=train_molecules_per_second,
        updates=updates,
        atom_efficiency=atom_efficiency,
        num_packs=num_packs,
        pack_lower_bound=pack_lower_bound,
        input_wait_fraction=input_wait_fraction,
        host_seconds_per_update=host_seconds_per_update,
        graph_captures=graph_captures,
        graph_recaptures=graph_recaptures,
        emulated=emulated,
        num_epochs=num_epochs,
        first_batch_seconds=first_batch_seconds,
        wall_seconds=wall_seconds,
    )
    return summary


def print_summary(
    summary: dict[str, Any],
    run_dir: str | os.PathLike[str],
    console: Console | None = None,
) -> None:
    """Print the table a run ends with."""
    console = console or Console()
    factor, unit = error_unit(summary["unit"])
    table = Table(title=f"{summary['target']}: result", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_row(f"test MAE ({unit})", _error(factor * summary["test_mae"]))
    table.add_row(
        f"baseline MAE ({unit}): the training mean", _error(factor * summary["baseline_mae"])
    )
    emulated = " (emulated: not an IPU's)" if summary.get("emulated") else ""
    table.add_row(f"training molecules/s{emulated}", _count(summary["train_molecules_per_second"]))
    table.add_row("filler among atom slots", _percent(1.0 - summary["atom_efficiency"]))
    table.add_row("time waiting for input", _percent(summary["input_wait_fraction"]))
    if summary.get("host_seconds_per_update") is not None:
        milliseconds = 1000 * summary["host_seconds_per_update"]
        table.add_row("host's own work an update", f"{milliseconds:.3f} ms")
    if summary.get("graph_captures") is not None:
        again = summary["graph_recaptures"]
        table.add_row(
            "graph captures; of them in training", f"{summary['graph_captures']}; {again}"
        )
    table.add_row("wall time", duration(summary["wall_seconds"]))
    console.print(table)
    # Outside the table, so that a long path is neither cut nor broken and can be copied.
    console.print("output folder:", end=" ", style="bold")
    console.print(os.fspath(run_dir), soft_wrap=True, highlight=False, markup=False)


def duration(seconds: float) -> str:
    """Seconds as people read them.

    >>> duration(7.25), duration(437), duration(7265)
    ('7.2 s', '7 min 17 s', '2 h 01 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _error(value: float) -> str:
    return f"{value:,.1f}" if value >= 10 else f"{value:.3g}"


def _count(value: float | None) -> str:
    return "not measured" if value is None else f"{value:,.0f}"


def _percent(fraction: float | None) -> str:
    return "not measured" if fraction is None else f"{100 * fraction:.2f} %"
