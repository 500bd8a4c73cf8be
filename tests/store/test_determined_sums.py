from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnpack.store.composition import ambiguous_elements, determined_sums, sum_words

TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(st.integers(0, 4), min_size=width, max_size=width), min_size=1, max_size=6
    )
)


@pytest.mark.parametrize(
    "table, words, ambiguous",
    [
        ([[2, 1], [4, 2]], ["2 H + O"], [1, 8]),
        ([[2, 1], [2, 2]], ["H", "O"], []),
        ([[1, 1]], ["H + O"], [1, 8]),
        ([[2, 0], [4, 0]], ["H"], [8]),
    ],
)
def test_by_hand(table, words, ambiguous):
    sums = determined_sums(np.array(table, dtype=np.float64), [1, 8])
    assert [sum_words(one) for one in sums] == words
    assert ambiguous_elements(sums, [1, 8]) == ambiguous


@given(TABLES)
@settings(max_examples=100, deadline=None)
def test_every_composition_is_a_sum_of_the_sums_and_there_are_as_many_as_the_rank(table):
    counts = np.array(table, dtype=np.float64)
    elements = list(range(1, counts.shape[1] + 1))
    sums = determined_sums(counts, elements)
    rank = int(np.linalg.matrix_rank(counts))
    basis = np.array([[one.get(element, 0) for element in elements] for one in sums], dtype=float)
    assert len(sums) == rank
    if rank:
        assert np.linalg.matrix_rank(basis) == rank
        assert np.linalg.matrix_rank(np.vstack([basis, counts])) == rank
    for element in elements:
        alone = np.zeros((1, len(elements)))
        alone[0, element - 1] = 1
        within = int(np.linalg.matrix_rank(np.vstack([counts, alone]))) == rank
        assert within == (element not in ambiguous_elements(sums, elements))


def test_words():
    assert sum_words({1: -1, 8: 2}) == "- H + 2 O"
