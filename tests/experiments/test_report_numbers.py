"""Statistics of a group of runs, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnpack.experiments.report_numbers import shown, spread

NUMBERS = st.floats(1e-6, 1e9, allow_nan=False)


@given(st.lists(NUMBERS, min_size=1, max_size=20))
def test_spread_is_numpys(values):
    found = spread(values)
    assert found.n == len(values)
    assert found.mean == pytest.approx(np.mean(values), rel=1e-12)
    assert (found.least, found.most) == (min(values), max(values))
    if len(values) == 1:
        assert found.deviation is None
    else:
        assert found.deviation == pytest.approx(np.std(values, ddof=1), rel=1e-6, abs=1e-9)


def test_what_is_no_number_does_not_count():
    assert spread([None, 2.0, None]).n == 1
    assert spread([None]) is None


@given(NUMBERS)
def test_a_shown_number_is_the_number_to_four_digits(value):
    text = shown(value)
    assert float(text.replace(",", "")) == pytest.approx(value, rel=5.1e-4)
    digits = text.split("e")[0].replace(",", "").replace(".", "").lstrip("0")
    assert len(digits) >= 4
