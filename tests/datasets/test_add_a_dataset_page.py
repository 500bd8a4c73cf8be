"""docs/add_a_dataset.md shows a class and an option file; both must work as printed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from gnnpack.datasets import MissingSource
from gnnpack.store import open_store
from gnnpack.units import KCAL_PER_MOL_TO_EV

PAGE = (Path(__file__).parents[2] / "docs" / "add_a_dataset.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)[0]


def test_the_class_on_the_page(tmp_path):
    room: dict = {"__name__": "ammonia"}
    exec(block("python"), room)
    option = OmegaConf.create(block("yaml"))
    target = option.pop("_target_").rpartition(".")[2]
    option.raw_dir = str(tmp_path)
    dataset = room[target](**option)
    assert dataset.split.train == 1000
    with pytest.raises(MissingSource, match=re.escape(f"into {tmp_path}")):
        open_store(dataset, tmp_path / "store")

    number = dataset.expected_molecules
    np.savez(
        tmp_path / "ammonia.npz",
        z=np.tile([7, 1, 1, 1], number),
        pos=np.zeros((4 * number, 3)),
        offsets=np.arange(0, 4 * number + 1, 4),
        ids=np.arange(number),
        kcal=np.arange(number) * 1.0,
    )
    store = open_store(dataset, tmp_path / "store")
    assert store.target("energy")[10] == 10 * KCAL_PER_MOL_TO_EV
    assert len(dataset.make_split(store.ids).test) == 100
