"""What metering costs, at toy size; times are never looked at."""

from __future__ import annotations

import pytest

from gnnpack import bench
from gnnpack.bench import metering
from gnnpack.bench.metering import measure_metering


@pytest.fixture
def wanted(tmp_path):
    return bench.OverviewSettings(
        dataset="synthetic",
        num_molecules=40,
        data_dir=str(tmp_path / "data"),
        hidden_channels=8,
        num_interactions=1,
        repeats=2,
        batch_size=(8,),
        run_molecules=8,
    )


def test_rows_are_ratios_of_the_same_round(wanted, monkeypatch):
    data = bench.open_data(wanted)
    trained = []

    def train(short, folder, *, metered, timed=False):
        trained.append((metered, timed))
        # Of 20 updates; metered ones take 10 % longer, and twice as long in the second round.
        seconds = (1.1 if metered else 1.0) * (2.0 if len(trained) > 3 else 1.0)
        return seconds, 0.002 if timed else 0.0

    monkeypatch.setattr(metering, "_train", train)
    section = measure_metering(data, 8, wanted)
    without, with_meters = section.rows
    assert trained[0] == (True, False)
    assert sorted(trained[1:-1]) == [(False, False)] * 2 + [(True, False)] * 2
    assert trained[-1] == (True, True)
    assert without.times_baseline.median == 1.0
    assert with_meters.times_baseline.median == pytest.approx(1 / 1.1)
    assert with_meters.facts["percent_slower"] == pytest.approx(10.0)
    assert with_meters.facts["percent_in_hooks"] == pytest.approx(0.2 / 2.2)
    assert with_meters.facts["hook_microseconds"] == pytest.approx(100.0)
    assert without.seconds.p10 == pytest.approx((1 + 0.1) / 20)


def test_meters_take_part_in_one_of_the_two(wanted, tmp_path):
    short = metering.Short(
        bench.open_data(wanted),
        metering.training_plan(bench.open_data(wanted), 0),
        8,
        5,
        wanted,
    )
    bare, nothing = metering._train(short, tmp_path / "bare", metered=False)
    whole, in_hooks = metering._train(short, tmp_path / "metered", metered=True, timed=True)
    assert bare > 0
    assert nothing == 0.0
    assert 0 < in_hooks < whole
    assert (tmp_path / "metered" / "live.json").exists()


def test_every_size_has_its_columns_in_a_report(wanted):
    section = measure_metering(bench.open_data(wanted), 8, wanted)
    assert set(section.columns) <= set(section.rows[1].facts)
    assert section.rows[0].molecules_per_second.median > 0
