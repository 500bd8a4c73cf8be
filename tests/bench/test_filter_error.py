"""The errors of tabulated filters that the overview prints."""

from __future__ import annotations

import sys

import pytest
import torch

from gnnpack import bench
from gnnpack.bench import filter_error
from gnnpack.bench.data import draw_batch
from gnnpack.bench.filter_error import Filters, filter_errors, measure_filter_error


def settings(tmp_path, **changes):
    small = {"num_molecules": 40, "batch_size": (8,), "repeats": 1, "hidden_channels": 8}
    small.update(dataset="synthetic", data_dir=str(tmp_path / "data"), num_interactions=2)
    return bench.OverviewSettings(**{**small, **changes})


def section_of(tmp_path):
    wanted = settings(tmp_path)
    data = bench.open_data(wanted)
    return measure_filter_error(data, draw_batch(data, 8, seed=0)[0], wanted)


def test_every_order_tolerance_and_precision_has_its_errors(tmp_path):
    rows = {row.name: row.facts for row in section_of(tmp_path).rows}
    assert rows.pop(filter_error.EXACT) == {}
    assert len(rows) == 2 * len(filter_error.TOLERANCES) * len(filter_error.PRECISIONS)
    by_precision = {
        name: [facts for row, facts in rows.items() if name in row]
        for name in ("float64", "float32", "float16")
    }
    for facts in by_precision["float64"]:
        assert 0 < facts["rms_error"] < facts["largest_error"] < facts["tolerance"]
        assert 0 < facts["energy_error"] < 10 * facts["tolerance"]
    for facts in by_precision["float32"]:
        assert facts["largest_error"] < facts["tolerance"] + 1e-4
    # Half precision keeps 11 bits, whatever the grid.
    for facts in by_precision["float16"]:
        assert 1e-4 < facts["largest_error"] < 1e-2
    # The finer the tolerance, the smaller the error.
    for order in ("linear", "cubic"):
        errors = [
            facts["largest_error"]
            for row, facts in rows.items()
            if row.startswith(order) and "float64" in row
        ]
        assert errors == sorted(errors, reverse=True)


def test_errors_are_relative_to_what_they_are_errors_of():
    filters = torch.zeros(2, 2, 2).double()
    sizes = torch.tensor([3.0, 1.0]).double()
    energies = torch.tensor([[2.0, 0.0], [-2.0, 0.0]]).double()
    off = filters.clone()
    off[0, 0, 0] = 0.3
    off[1, 1, 1] = 0.2
    expected = Filters(filters, sizes, energies)
    moved = energies + torch.tensor([0.1, 0.0])
    found = filter_errors(Filters(off, sizes, moved), expected)
    assert found["largest_error"] == pytest.approx(0.2)
    assert found["rms_error"] == pytest.approx(0.1)
    assert found["energy_error"] == pytest.approx(0.05)


def test_a_grid_that_misses_its_tolerance_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("gnnpack.models.filters.num_knots_for", lambda *_: 5)
    with pytest.raises(
        ValueError, match=r"linear, float64, 5 knots are .* more than the tolerance"
    ):
        section_of(tmp_path)


def test_the_overview_has_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_geometric", None)
    wanted = settings(tmp_path, sections=("filter_error",))
    report = bench.overview(bench.open_data(wanted), wanted, ["gnnpack", "bench"])
    assert [section["name"] for section in report["sections"]] == ["machine", "filter_error"]
    text = bench.markdown(report)
    for column in ("tolerance", "knots", "largest error", "rms error", "energy error"):
        assert f"| {column} |" in text
