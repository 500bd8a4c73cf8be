"""Rates and floors from times that the test sets."""

from __future__ import annotations

import numpy as np
import pytest

from gnnpack.bench import section as section_room
from gnnpack.bench.roofline import Roof, measure_machine
from gnnpack.bench.steps import floor_facts
from gnnpack.bench.timing import Timing
from gnnpack.bench.work import Work


@pytest.fixture
def every_call_takes(monkeypatch):
    """Let named calls take so many seconds, and make each once."""

    def install(seconds):
        def timed(calls, repeats, *, least_seconds):
            for call in calls.values():
                call()
            return {name: Timing(np.full(repeats, seconds[name]), 1) for name in calls}

        monkeypatch.setattr(section_room, "time_in_turns", timed)

    return install


def test_rates_follow_from_times_and_the_best_product_is_the_roof(every_call_takes):
    every_call_takes(
        {
            "torch.mm forward_50": 1.0,
            "torch.mm input gradient_50": 0.5,
            "torch.mm weight gradient_50": 4.0,
            "gnnpack forward_50": 0.8,
            "copy": 2.0,
        }
    )
    section, roof = measure_machine([50, 50], 10, 3, copy_bytes=4_000)
    facts = {row.name: row.facts for row in section.rows}
    # 2 x 50 x 10 x 10 operations
    assert facts["torch.mm forward_50"]["GFLOP/s"] == pytest.approx(1e-5)
    assert facts["torch.mm input gradient_50"]["GFLOP/s"] == pytest.approx(2e-5)
    assert facts["torch.mm weight gradient_50"]["GFLOP/s"] == pytest.approx(0.25e-5)
    # read and written
    assert facts["copy"]["GB/s"] == pytest.approx(2 * 4_000 / 2.0 / 1e9)
    assert roof == pytest.approx((2e4, 4_000.0))


def test_a_floor_counts_matrix_products_alone():
    roof, work = Roof(100.0, 10.0), Work(dense=300, filters=200, convolution=9_999, bytes=40)
    facts = floor_facts(work, roof, seconds=10.0)
    assert facts["floor_seconds"] == 5.0
    assert facts["percent_of_floor"] == 50.0
    assert facts["copy_seconds"] == 4.0
