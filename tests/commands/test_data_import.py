"""`gnnpack data import`, and training on what it imported."""

from __future__ import annotations

import shlex

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

ENERGY = "targets={energy: {unit: kcal/mol}}"


@pytest.fixture
def waters(folder) -> str:
    """An .xyz file of 40 water clusters, one of them broken."""
    rng = np.random.RandomState(0)
    frames = []
    for number in range(40):
        waters = 1 + number % 3
        atoms = Atoms("OH2" * waters, rng.rand(3 * waters, 3) * 4)
        atoms.info["energy"] = -100.0 * waters + rng.rand()
        frames.append(atoms)
    write(str(folder / "waters.xyz"), frames, format="extxyz")
    text = (folder / "waters.xyz").read_text().splitlines()
    text[3] = text[3].replace("H", "Qq", 1)
    (folder / "waters.xyz").write_text("\n".join(text) + "\n")
    return "waters.xyz"


def test_import_asks_for_what_the_file_does_not_say(gnnpack, waters):
    with pytest.raises(
        SystemExit, match=r"gnnpack data import: waters\.xyz does not say what unit"
    ):
        gnnpack("data", "import", f"path={waters}")
    with pytest.raises(SystemExit, match=r"frame 0, line 4: 'Qq' is no element.*on_error=skip"):
        gnnpack("data", "import", f"path={waters}", ENERGY)


def test_import_says_what_it_found_and_how_to_train(gnnpack, waters, folder, capsys):
    gnnpack("data", "import", f"path={waters}", "name=wet", ENERGY, "on_error=skip", "cutoff=4")
    said = capsys.readouterr().out
    assert "39, from waters.xyz" in said
    assert "H 66.7 %, O 33.3 %" in said
    assert "within 4 Å" in said
    assert "compositions do not tell H, O apart: only 2 H + O is determined" in said
    stores = [path for path in (folder / "data" / "store").glob("wet-*") if path.is_dir()]
    assert len(stores) == 1
    skipped = stores[0].with_name(f"{stores[0].name}.skipped.txt")
    assert "frame 0, line 4: 'Qq' is no element" in skipped.read_text()
    assert f"left out     {skipped.relative_to(folder)}" in said

    command = said.strip().splitlines()[-1].split("python train.py ")[1]
    words = shlex.split(command)
    assert words[0] == "dataset=structures"
    # The line it prints trains, on the store it made, with molecules too large for a pack refused.
    small = ["model.hidden_channels=8", "model.num_filters=8", "model.num_interactions=1"]
    with pytest.raises(SystemExit, match=r"has 9 atoms, but a pack holds 8"):
        gnnpack("train", *words, *small, "shape.num_atoms=8", "logger=csv")
    assert [path for path in (folder / "data" / "store").glob("wet-*") if path.is_dir()] == stores


def test_import_without_words_says_how(gnnpack, capsys):
    gnnpack("data", "import")
    assert "usage: gnnpack data import path=FILE_OR_PATTERN" in capsys.readouterr().out


def test_a_setting_that_is_none(gnnpack, waters):
    with pytest.raises(SystemExit, match="no setting 'pth'"):
        gnnpack("data", "import", "pth=a.xyz")
