"""What README and docs/packers.md show in Python, and the names they give, are so."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import gnnpack.packing

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["README.md", "docs/packers.md"])
def test_examples_print_what_they_show(page):
    failed, attempted = doctest.testfile(str(ROOT / page), module_relative=False)
    assert attempted > 0
    assert failed == 0


def test_every_option_is_on_the_page_and_every_packer_named_there_exists():
    page = (ROOT / "docs" / "packers.md").read_text(encoding="utf-8")
    table = page[page.index("| packer |") : page.index("Options of their own")]
    named = {
        name
        for row in table.splitlines()[2:]
        if row.startswith("|")
        for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    options = {path.stem for path in (ROOT / "conf" / "packer").glob("*.yaml")}
    assert named == options
    assert all(hasattr(gnnpack.packing, name) for name in named)
