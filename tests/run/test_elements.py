"""The elements a checkpoint says it was trained on."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gnnpack.run import checkpoint


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_elements_are_those_of_the_chosen_molecules_alone(at_once, monkeypatch):
    monkeypatch.setattr(checkpoint, "MOLECULES_AT_ONCE", at_once)
    store = SimpleNamespace(
        z=np.array([1, 6, 9, 8, 1, 7, 16], dtype=np.uint8),
        offsets=np.array([0, 2, 3, 5, 6, 7]),
        num_molecules=5,
    )
    assert checkpoint.elements_of(store, np.array([0, 2, 4])) == [1, 6, 8, 16]
    assert checkpoint.elements_of(store, np.array([1])) == [9]
