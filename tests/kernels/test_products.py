"""Products inside compiled loops, for all that is left over of tiles, against float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from gnnpack.kernels import threads

pytest.importorskip("numba")

from gnnpack.kernels.cpu_products import (
    TILE_ROWS,
    WIDTH,
    add_outer,
    add_product,
    product,
    whole_vectors,
)

# Two tiles of rows and one row more, a tile of vectors and one vector more.
ROWS = range(1, 2 * TILE_ROWS + 2)
COLUMNS = range(1, 71)
NAN, INF = np.float32("nan"), np.float32("inf")


def matrix(rows: int, columns: int, seed: int, *, length: int, around: float = NAN) -> np.ndarray:
    """Numbers (rows, columns) in the corner of rows that are longer; ``around`` elsewhere."""
    out = np.full((rows + 1, length), around, dtype=np.float32)
    out[:rows, :columns] = np.random.RandomState(seed).randn(rows, columns)
    return out


def length_for(*columns: int) -> int:
    """A row with a vector to spare."""
    return whole_vectors(max(columns)) + WIDTH


def check(out: np.ndarray, before: np.ndarray, added: np.ndarray) -> None:
    """``added`` came on top of what was in the corner, and nothing behind whole vectors changed."""
    rows, columns = added.shape
    expected = before[:rows, :columns].astype(np.float64) + added
    np.testing.assert_allclose(out[:rows, :columns], expected, rtol=1e-5, atol=1e-5)
    whole = whole_vectors(columns)
    np.testing.assert_array_equal(out[:rows, whole:], before[:rows, whole:])
    np.testing.assert_array_equal(out[rows:], before[rows:])


@pytest.mark.parametrize("rows", ROWS)
def test_a_product_is_added_to_what_is_there(rows):
    for columns in COLUMNS:
        terms = (columns * 7 + rows) % 37 + 1
        length = length_for(columns, terms)
        # What is not a term of the sums is NaN, so that no number too many can be read.
        x = matrix(rows, terms, 1, length=length)
        w = matrix(terms, whole_vectors(columns), 2, length=length)
        out = matrix(rows, columns, 3, length=length, around=5)
        before, exact = out.copy(), x[:rows, :terms].astype(np.float64) @ w[:terms, :columns]
        add_product(x[:rows], terms, w, out[:rows], columns)
        check(out, before, exact)


@pytest.mark.parametrize("rows", ROWS)
def test_an_outer_product_is_added_to_what_is_there(rows):
    for columns in COLUMNS:
        terms = (columns * 5 + rows) % 37 + 1
        length = length_for(columns, rows)
        grad = matrix(terms, rows, 1, length=length)
        x = matrix(terms, whole_vectors(columns), 2, length=length)
        out = matrix(rows, columns, 3, length=length, around=5)
        before, exact = out.copy(), grad[:terms, :rows].T.astype(np.float64) @ x[:terms, :columns]
        add_outer(grad[:terms], rows, x[:terms], columns, out)
        check(out, before, exact)


def test_without_terms_nothing_is_added():
    out = matrix(5, 20, 0, length=length_for(20))
    before, nothing = out.copy(), np.empty((0, out.shape[1]), dtype=np.float32)
    add_product(out.copy(), 0, nothing, out, 20)
    add_outer(nothing, 5, nothing, 20, out)
    np.testing.assert_array_equal(out, before)


def test_rows_of_one_factor_may_be_shorter():
    """The Gaussians of a filter lie in rows of their own number."""
    x, w = matrix(7, 5, 1, length=5)[:7], matrix(5, 32, 2, length=32)[:5]
    out = np.zeros((7, 32), dtype=np.float32)
    add_product(x, 5, w, out, 32)
    np.testing.assert_allclose(out, x.astype(np.float64) @ w, rtol=1e-5, atol=1e-5)
    wide = np.zeros((5, 32), dtype=np.float32)
    add_outer(x, 5, out, 32, wide)
    np.testing.assert_allclose(wide, x.T.astype(np.float64) @ out, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("value", [NAN, INF])
def test_nan_and_infinity_come_through_and_stay_in_their_row_and_column(rows, value):
    columns, terms = 2 * WIDTH + 3, 9
    length = length_for(columns)
    x, w = matrix(rows, terms, 1, length=length), matrix(terms, length, 2, length=length)
    x[rows - 1, 4] = value
    out = np.zeros((rows, length), dtype=np.float32)
    add_product(x[:rows], terms, w, out, columns)
    assert not np.isfinite(out[-1, :columns]).any()
    assert np.isfinite(out[:-1]).all()
    outer = np.zeros((terms, length), dtype=np.float32)
    add_outer(x[:rows], terms, np.ones((rows, length), np.float32), columns, outer)
    assert not np.isfinite(outer[4, :columns]).any()
    assert np.isfinite(np.delete(outer, 4, 0)).all()


def test_a_row_has_the_same_bits_whichever_tile_it_falls_into():
    length = length_for(70)
    x, w = matrix(13, 33, 1, length=length)[:13], matrix(33, length, 2, length=length)
    whole = np.zeros((13, length), dtype=np.float32)
    add_product(x, 33, w, whole, 70)
    for rows in ROWS:
        out = np.zeros((rows, length), dtype=np.float32)
        add_product(x[13 - rows :], 33, w, out, 70)
        np.testing.assert_array_equal(out, whole[13 - rows :])


@pytest.mark.parametrize("python_threads", [False, True])
@pytest.mark.parametrize("num_rows", [0, 1, 5, 16, 100, 331])
def test_a_product_on_threads_is_the_same_for_any_number_of_them(
    num_rows, python_threads, monkeypatch, torch_threads
):
    if python_threads:
        monkeypatch.setattr(threads, "_torch_team", lambda: None)
    S, terms, columns = whole_vectors(50), 33, 50
    x, w = torch.randn(num_rows, S), torch.randn(terms, S)
    exact = x[:, :terms].double() @ w[:, :columns].double()
    for number in (1, 2, 3):
        torch_threads(number)
        # What was there before is no part of the result.
        out = product(x, w, torch.full_like(x, NAN), columns)
        assert_close(out[:, :columns].double(), exact, rtol=1e-5, atol=1e-5)
        assert out.isfinite().all()
        if number == 1:
            first = out
        assert torch.equal(out, first)


def test_a_row_is_a_whole_number_of_vectors():
    for columns in range(1, 5 * WIDTH):
        length = whole_vectors(columns)
        assert length % WIDTH == 0
        assert columns <= length < columns + WIDTH
