"""docs/ipu.md lists what the emulator enforces; every number in it has a test, and the reverse."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "ipu.md"


def test_every_behaviour_of_the_page_has_a_test_of_its_number():
    tested = {
        int(number)
        for file in HERE.glob("test_*.py")
        for number in re.findall(r"def test_behaviour_(\d\d)_", file.read_text(encoding="utf-8"))
    }
    listed: set[int] = set()
    for row in re.findall(r"^\| ([\d ,-]+) \|", PAGE.read_text(encoding="utf-8"), flags=re.M):
        for part in row.split(","):
            ends = [int(end) for end in part.split("-")]
            listed |= set(range(ends[0], ends[-1] + 1))
    assert listed == tested == set(range(1, 38))
