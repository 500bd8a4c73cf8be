from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from gnnpack.datasets import read_structures


def test_all_frames_of_an_xyz_file(tmp_path):
    path = str(tmp_path / "two.xyz")
    write(path, [Atoms("H2", [(0, 0, 0), (0, 0, 0.74)]), Atoms("OH", [(0, 0, 0), (0, 1, 0)])])
    molecules = read_structures(path)
    assert molecules.z.tolist() == [1, 1, 8, 1]
    assert molecules.offsets.tolist() == [0, 2, 4]
    assert molecules.ids.tolist() == [0, 1]
    assert molecules.targets == {}
    assert molecules.pos[1, 2] == np.float32(0.74)


def test_periodic_is_refused(tmp_path):
    path = str(tmp_path / "cell.extxyz")
    write(path, [Atoms("H"), Atoms("H", cell=[5, 5, 5], pbc=True)])
    with pytest.raises(ValueError, match=r"cell\.extxyz, frame 1: it is periodic"):
        read_structures(path)


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("empty.xyz", "", "empty.xyz"),
        ("bad.xyz", "3\n\nH 0 0 0\n", "bad.xyz cannot be read as structures"),
        ("nan.xyz", "1\n\nH 0 0 nan\n", "frame 0: the positions of its atom 0"),
        ("dummy.xyz", "1\n\nX 0 0 0\n", "frame 0: its atom 0 has the atomic number 0"),
        ("none.xyz", "0\n\n", "none.xyz"),
        ("what.zzz", "hello", "what.zzz cannot be read"),
    ],
)
def test_errors_name_the_file(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_structures(str(tmp_path / name))


def test_no_file(tmp_path):
    with pytest.raises(ValueError, match="is not a file"):
        read_structures(str(tmp_path / "absent.xyz"))
