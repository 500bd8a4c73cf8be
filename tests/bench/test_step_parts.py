"""The parts of a step are those of the step that is timed."""

from __future__ import annotations

import pytest
import torch
from tests.bench.test_bench_overview import settings

from gnnpack.bench.batches import whole_batch
from gnnpack.bench.data import draw_batch, open_data
from gnnpack.bench.models import make_model
from gnnpack.bench.step_parts import WHOLE, Parts, measure_parts
from gnnpack.bench.training_step import TrainingStep
from gnnpack.objective import MAE


@pytest.fixture
def wanted(tmp_path):
    return settings(tmp_path)


def test_the_parts_one_after_another_are_the_step(wanted):
    data = open_data(wanted)
    batch = draw_batch(data, 8, seed=0)[0]
    packed = whole_batch(batch.source, batch.packed)
    model = make_model(data, wanted, filter="tabulated")

    def loss() -> torch.Tensor:
        value: torch.Tensor = MAE()(model(packed), packed)
        return value

    step = TrainingStep(WHOLE, model, lambda: model(packed), loss, wanted.lr)
    parts = Parts(model, packed, step)
    torch.testing.assert_close(parts.readout(), loss())
    before = [p.detach().clone() for p in model.parameters()]
    parts.calls()[WHOLE]()
    assert any(not torch.equal(one, two) for one, two in zip(before, model.parameters()))


def test_shares_are_of_the_whole_step(wanted):
    data = open_data(wanted)
    section = measure_parts(data, draw_batch(data, 8, seed=0)[0], wanted)
    rows = {row.name: row for row in section.rows}
    assert rows[WHOLE].facts["percent_of_step"] == 100
    for row in rows.values():
        share = 100 * row.seconds.median / rows[WHOLE].seconds.median
        assert row.facts["percent_of_step"] == pytest.approx(share)
