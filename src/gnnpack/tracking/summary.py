"""summary.json's keys, and the table that ends a run."""

from __future__ import annotations

import os
from typing import Any, Mapping

from rich.console import Console
from rich.table import Table

from gnnpack.tracking.error_unit import error_unit

# docs/metering.md tells what each is.
METERED_KEYS = (
    "molecules_per_second_median",
    "molecules_per_second_p10",
    "molecules_per_second_p90",
    "num_windows",
    "measured_seconds",
    "atoms_per_second_median",
    "filler_fraction",
    "step_seconds_p10",
    "step_seconds_p50",
    "step_seconds_p90",
    "step_seconds_p99",
    "percent_of_floor",
    "peak_host_bytes",
    "peak_device_bytes",
    "energy_joules_per_molecule",
    "energy_source",
    "compile_seconds",
    "train_seconds",
)

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
    "pack_atoms",
    "num_molecules",
    "input_wait_fraction",
    "host_seconds_per_update",
    "graph_captures",
    "graph_recaptures",
    "capture_seconds",
    "emulated",
    "num_epochs",
    "first_batch_seconds",
    "wall_seconds",
    *METERED_KEYS,
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
    capture_seconds: float | None = None,
    emulated: bool = False,
    pack_atoms: int | None = None,
    num_molecules: int | None = None,
    first_batch_seconds: float | None = None,
    metered: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of summary.json: ``SUMMARY_KEYS``, and the errors in meV if the unit is eV.

    ``baseline_mae`` is of predicting the training mean per atom. ``graph_recaptures`` are those of
    the ``graph_captures`` made anew in training. ``emulated``: speeds are those of an emulator,
    not of the hardware it stands for. ``pack_atoms`` are the atom slots of a pack,
    ``num_molecules`` those of the training split. ``metered`` holds some of `METERED_KEYS`. None =
    not measured, or there are none.
    """
    metered = metered or {}
    assert set(metered) <= set(METERED_KEYS), f"unknown: {set(metered) - set(METERED_KEYS)}"
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
        pack_atoms=pack_atoms,
        num_molecules=num_molecules,
        input_wait_fraction=input_wait_fraction,
        host_seconds_per_update=host_seconds_per_update,
        graph_captures=graph_captures,
        graph_recaptures=graph_recaptures,
        capture_seconds=capture_seconds,
        emulated=emulated,
        num_epochs=num_epochs,
        first_batch_seconds=first_batch_seconds,
        wall_seconds=wall_seconds,
        **{key: metered.get(key) for key in METERED_KEYS},
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
    for name, text in _metered_rows(summary):
        table.add_row(name, text)
    filler = summary.get("filler_fraction")
    filler = 1.0 - summary["atom_efficiency"] if filler is None else filler
    table.add_row("filler among atom slots", _percent(filler))
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


def _metered_rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and text of the figures that a user looks for, those that are known."""
    rows = []
    # An emulator takes another time and other energy; the row above tells for what it stands.
    emulated = " (emulated)" if summary.get("emulated") else ""
    if summary.get("molecules_per_second_median") is not None:
        name, text = _rate_row(summary)
        rows.append((f"{name}{emulated}", text))
    if summary.get("atoms_per_second_median") is not None:
        rows.append((f"atoms/s, median{emulated}", _count(summary["atoms_per_second_median"])))
    if summary.get("percent_of_floor") is not None:
        rows.append(("percent of floor", f"{summary['percent_of_floor']:.1f} %"))
    if summary.get("peak_host_bytes") is not None:
        rows.append(("peak memory", f"{summary['peak_host_bytes'] / 1e9:.2f} GB"))
    if summary.get("peak_device_bytes") is not None:
        rows.append(("peak memory, device", f"{summary['peak_device_bytes'] / 1e9:.2f} GB"))
    if summary.get("energy_joules_per_molecule") is not None:
        joules = f"{summary['energy_joules_per_molecule']:.3g} J"
        rows.append((f"energy a molecule ({summary['energy_source']}){emulated}", joules))
    return rows


def _rate_row(summary: dict[str, Any]) -> tuple[str, str]:
    median = _count(summary["molecules_per_second_median"])
    if summary["num_windows"] == 1:
        seconds = summary.get("measured_seconds")
        of = "" if seconds is None else f" of {seconds:.2g} s"
        return f"molecules/s, one window{of}", median
    low, high = (_count(summary[f"molecules_per_second_p{p}"]) for p in (10, 90))
    name = f"molecules/s, median of {summary['num_windows']} windows (p10 - p90)"
    return name, f"{median} ({low} - {high})"


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
