"""Neighbours and convolutions of the overview: rows that differ are refused."""

from __future__ import annotations

import pytest
import torch
from tests.conftest import batch_of, make_source

from gnnpack.bench import neighbours
from gnnpack.bench.convolutions import check_convolutions
from gnnpack.bench.neighbours import check_neighbours, search


@pytest.mark.parametrize("cutoff", [2.0, 6.0])
def test_all_searches_find_the_same(cutoff):
    source = make_source(20)
    check_neighbours(source, batch_of(source), cutoff)


@pytest.mark.parametrize("fault", ["one pair less", "another distance"])
def test_searches_that_differ_are_refused(monkeypatch, fault):
    source = make_source(20)
    batch = batch_of(source)

    def wrong(batch, cutoff, *, compiled=True):
        pairs = search(batch, cutoff, compiled=compiled)
        if compiled:
            return pairs
        if fault == "one pair less":
            return pairs._replace(distance=pairs.distance[1:])
        return pairs._replace(distance=pairs.distance * 1.01)

    monkeypatch.setattr(neighbours, "search", wrong)
    with pytest.raises(ValueError, match="The plain torch search finds"):
        check_neighbours(source, batch, 3.0)


def test_convolutions_that_differ_in_a_gradient_are_refused():
    values = torch.tensor([1.0, 2.0])
    same = {"values": values, "features": values}
    assert check_convolutions({"a": same, "b": same}) == 0.0
    other = {"values": values, "features": values * 1.01}
    with pytest.raises(ValueError, match="row b differ"):
        check_convolutions({"a": same, "b": other})
