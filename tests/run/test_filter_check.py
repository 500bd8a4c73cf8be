"""A run says how far its filter tables are from the filter networks, and warns when too far."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import numpy as np
import torch

from gnnpack.models import SchNet, Tabulated, filter_error
from gnnpack.run.filter_check import check_filters, sample_distances


def data(num_molecules: int = 4):
    pos = np.random.default_rng(0).normal(size=(3 * num_molecules, 3)).astype(np.float32)
    store = SimpleNamespace(pos=pos, offsets=np.arange(0, 3 * num_molecules + 1, 3))
    return SimpleNamespace(store=store, split=SimpleNamespace(train=np.arange(num_molecules)))


def test_distances_are_those_inside_molecules():
    found = sample_distances(data(2), cutoff=100.0)
    pos = torch.from_numpy(data(2).store.pos).double()
    expected = torch.cat([torch.pdist(pos[:3]), torch.pdist(pos[3:])])
    torch.testing.assert_close(found, expected)
    assert (sample_distances(data(2), cutoff=1.0) < 1).all()


def test_a_coarse_table_is_warned_about_and_a_fine_one_is_not(caplog):
    caplog.set_level(logging.INFO)
    for knots, level in ((5, logging.WARNING), (400, logging.INFO)):
        caplog.clear()
        model = SchNet(8, 2, 10, filter=Tabulated(num_knots=knots))
        check_filters(model, data(), "before training")
        assert [record.levelno for record in caplog.records] == [level]
        assert f"{knots} knots" in caplog.text


def test_an_exact_model_has_nothing_to_say(caplog):
    caplog.set_level(logging.INFO)
    check_filters(SchNet(8, 2, 10), data(), "before training")
    assert not caplog.records


def test_the_error_is_small_where_the_knots_are_and_larger_between():
    model = SchNet(8, 2, 10, cutoff=5.0, filter=Tabulated(order="linear", num_knots=6))
    at_knots = torch.arange(6, dtype=torch.double)
    assert filter_error(model, at_knots) < 1e-12
    assert filter_error(model, at_knots[:-1] + 0.5) > 1e-3
