from __future__ import annotations

import io
import json
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from gnnpack.tracking import (
    SUMMARY_KEYS,
    print_summary,
    summarize_wandb,
    summary_dict,
    write_json,
)

FIGURES = {
    "target": "U0",
    "unit": "eV",
    "test_mae": 0.0456,
    "val_mae": 0.044,
    "baseline_mae": 10.25,
    "train_molecules_per_second": 1612.4,
    "updates": 100,
    "atom_efficiency": 0.98646,
    "num_packs": 60,
    "pack_lower_bound": 59,
    "input_wait_fraction": 0.0123,
    "num_epochs": 2,
    "wall_seconds": 437.0,
}


def test_keys_are_those_promised(tmp_path):
    energy = summary_dict(**FIGURES)
    assert set(energy) == {*SUMMARY_KEYS, "test_mae_meV", "val_mae_meV", "baseline_mae_meV"}
    assert energy["test_mae_meV"] == 45.6
    assert set(summary_dict(**{**FIGURES, "unit": "D"})) == set(SUMMARY_KEYS)
    write_json(tmp_path / "summary.json", energy)
    assert json.loads((tmp_path / "summary.json").read_text()) == energy


def shown(**changes):
    console = Console(file=io.StringIO(), width=80, color_system=None)
    print_summary(summary_dict(**{**FIGURES, **changes}), "outputs/a/b" * 12, console)
    return console.file.getvalue()


def test_table_shows_what_a_user_asks_for():
    text = shown()
    for part in ("test MAE (meV)", "45.6", "10,250.0", "1,612", "1.35 %", "1.23 %", "7 min 17 s"):
        assert part in text
    assert "outputs/a/b" * 12 in text


def test_table_of_another_unit_and_of_a_run_too_short_to_measure():
    text = shown(unit="D", train_molecules_per_second=None)
    assert "test MAE (D)" in text
    assert "not measured" in text


def test_table_tells_what_was_metered_and_leaves_out_what_was_not():
    text = shown(
        metered={
            "molecules_per_second_median": 10_250.4,
            "molecules_per_second_p10": 9_000.0,
            "molecules_per_second_p90": 11_000.0,
            "num_windows": 12,
            "atoms_per_second_median": 184_000.0,
            "filler_fraction": 0.0234,
            "percent_of_floor": 41.26,
            "peak_host_bytes": 1_520_000_000,
            "energy_joules_per_molecule": 0.01234,
            "energy_source": "RAPL package-0",
        },
    )
    for part in (
        "median of 12 windows",
        "10,250 (9,000 - 11,000)",
        "184,000",
        "41.3 %",
        "1.52 GB",
        "0.0123 J",
        "RAPL package-0",
        "2.34 %",
    ):
        assert part in text
    assert "device" not in text
    assert "window" not in shown()


def test_of_one_window_no_range_is_told():
    metered = {
        "molecules_per_second_median": 457_043.0,
        "molecules_per_second_p10": 457_043.0,
        "molecules_per_second_p90": 457_043.0,
        "num_windows": 1,
        "measured_seconds": 0.1742,
    }
    text = shown(metered=metered)
    assert "molecules/s, one window of 0.17 s" in text
    assert text.count("457,043") == 1


def test_what_an_emulator_measured_is_marked():
    metered = {
        "molecules_per_second_median": 250.0,
        "molecules_per_second_p10": 200.0,
        "molecules_per_second_p90": 300.0,
        "num_windows": 12,
        "atoms_per_second_median": 4_000.0,
        "energy_joules_per_molecule": 0.5,
        "energy_source": "RAPL package-0",
    }
    text = shown(metered=metered, emulated=True)
    assert (text.count("(emulated: not an IPU's)"), text.count("(emulated)")) == (1, 3)
    assert "emulated" not in shown(metered=metered)


def test_an_unknown_figure_is_a_mistake_of_ours():
    with pytest.raises(AssertionError, match="molecules_per_hour"):
        summary_dict(**FIGURES, metered={"molecules_per_hour": 1})


def test_known_figures_go_to_the_open_wandb_run(monkeypatch):
    kept = {}
    run = SimpleNamespace(summary=SimpleNamespace(update=kept.update))
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=run))
    summarize_wandb({"test_mae": 0.1, "percent_of_floor": None})
    assert kept == {"test_mae": 0.1}
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=None))
    summarize_wandb({"test_mae": 0.2})
    assert kept == {"test_mae": 0.1}
