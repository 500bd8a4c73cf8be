from __future__ import annotations

import io
import json

from rich.console import Console

from gnnpack.tracking import SUMMARY_KEYS, print_summary, summary_dict, write_json

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
