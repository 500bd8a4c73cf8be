from __future__ import annotations

import numpy as np
import pytest

from gnnpack.datasets import Molecules


def make(**changes: object) -> Molecules:
    """A hydrogen atom, id 7, and a water, id 9."""
    fields: dict = {
        "z": np.array([1, 8, 1, 1], dtype=np.uint8),
        "pos": np.arange(12, dtype=np.float32).reshape(4, 3),
        "offsets": np.array([0, 1, 4]),
        "ids": np.array([7, 9]),
        "targets": {"energy": np.array([0.5, -1.0])},
    }
    return Molecules(**{**fields, **changes})


def test_sizes():
    molecules = make()
    assert molecules.num_molecules == 2
    assert molecules.num_atoms.tolist() == [1, 3]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"targets": {"energy": np.array([0.5, np.nan])}}, "Molecule 9 has energy = nan"),
        ({"targets": {"energy": np.array([0.5])}}, "Target energy has shape"),
        ({"offsets": np.array([0, 0, 4])}, "Molecule 7 has no atoms"),
        ({"offsets": np.array([0, 4])}, "offsets has shape"),
        ({"offsets": np.array([0, 1, 3])}, "offsets run from 0 to 3"),
        ({"z": np.array([1, 8, 0, 1], dtype=np.uint8)}, "Molecule 9 has z = 0 at its atom 1"),
        ({"z": np.array([1, 8, 119, 1], dtype=np.uint8)}, "Molecule 9 has z = 119"),
        ({"z": np.array([1, 8, 1, 1])}, "z is int64, but molecules need uint8"),
        ({"pos": np.zeros((3, 3), dtype=np.float32)}, "pos has shape"),
        ({"pos": np.full((4, 3), np.inf, dtype=np.float32)}, "Molecule 7 has pos"),
        ({"forces": np.full((4, 3), np.nan, dtype=np.float32)}, "Molecule 7 has forces"),
        ({"forces": np.zeros((2, 3), dtype=np.float32)}, "forces has shape"),
    ],
)
def test_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)
