"""The packer in docs/add_a_packer.md works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from every_packer import instances, quick
from hypothesis import given

from gnnpack.packing import PackShape

PAGE = Path(__file__).parents[2] / "docs" / "add_a_packer.md"


@pytest.fixture(scope="module")
def equal_sizes():
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    exec(example, names)
    return names["equal_sizes"]


@given(instance=instances())
@quick
def test_example_keeps_the_contract(equal_sizes, instance):
    num_atoms, _, shape = instance
    plan = equal_sizes(num_atoms, PackShape(shape.num_atoms, None, shape.num_molecules))
    plan.validate()
    assert plan.num_molecules == num_atoms.size
