"""Knapsack and pattern LP against enumeration of every pack."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from every_packer import quick
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from gnnpack.packing.compiled import compiled
from gnnpack.packing.knapsack import Knapsack, fill_table, fill_table_by_numpy
from gnnpack.packing.pattern_lp import PatternSolution, solve, whole_bound
from gnnpack.packing.rounding import rounded_down


@st.composite
def knapsacks(draw):
    """(sizes, counts, capacity, max_molecules) with few enough packs to list."""
    sizes = draw(st.lists(st.integers(1, 15), min_size=1, max_size=4, unique=True))
    unit = draw(st.sampled_from([1, 3]))
    counts = draw(st.lists(st.integers(1, 9), min_size=len(sizes), max_size=len(sizes)))
    capacity = unit * (max(sizes) + draw(st.integers(0, 15))) + draw(st.integers(0, 1))
    return (
        np.array(sorted(sizes), dtype=np.int64) * unit,
        np.array(counts, dtype=np.int64),
        capacity,
        draw(st.one_of(st.none(), st.integers(1, 4))),
    )


def every_pack(sizes, counts, capacity, max_molecules):
    most = np.minimum(counts, capacity // sizes)
    for copies in product(*(range(limit + 1) for limit in most.tolist())):
        pack = np.array(copies, dtype=np.int64)
        if pack @ sizes <= capacity and pack.sum() <= (max_molecules or pack.sum()):
            yield pack


@given(arguments=knapsacks(), values=st.lists(st.integers(0, 50), min_size=4, max_size=4))
@quick
def test_best_pack_is_the_best_of_all_packs(arguments, values):
    values = np.array(values[: arguments[0].size], dtype=np.int64)
    best = Knapsack(*arguments).best(values)
    listed = [pack.tolist() for pack in every_pack(*arguments)]
    assert best.copies.tolist() in listed
    assert best.value == best.copies @ values == max(np.array(listed) @ values)


@given(arguments=knapsacks(), values=st.lists(st.integers(0, 50), min_size=4, max_size=4))
@quick
def test_tables_are_the_same_compiled_by_numpy_and_in_python(arguments, values):
    knapsack = Knapsack(*arguments)
    values = np.array(values[: arguments[0].size], dtype=np.int64)
    tables = []
    for fill in (fill_table, fill_table_by_numpy, compiled(fill_table)):
        best = np.zeros((knapsack.max_molecules + 1, knapsack.capacity + 1), dtype=np.int64)
        taken = np.zeros((knapsack.rows.shape[1], *best.shape), dtype=np.bool_)
        step = int(knapsack.max_molecules > 0)
        fill(values, knapsack.weights, knapsack.rows, step, best, taken)
        tables.append((best, taken))
    for best, taken in tables[1:]:
        np.testing.assert_array_equal(best, tables[0][0])
        np.testing.assert_array_equal(taken, tables[0][1])


@given(arguments=knapsacks())
@quick
def test_fullest_values_choose_the_fullest_pack(arguments):
    knapsack = Knapsack(*arguments)
    sizes = arguments[0]
    fullest = max(pack @ sizes for pack in every_pack(*arguments))
    assert knapsack.best(knapsack.fullest_values()).copies @ sizes == fullest


@given(arguments=knapsacks())
@quick
def test_lp_against_scipy_on_every_pack(arguments):
    counts = arguments[1]
    columns = np.array([pack for pack in every_pack(*arguments) if pack.any()])
    exact = linprog(np.ones(len(columns)), A_ub=-columns.T, b_ub=-counts).fun
    solution = solve(Knapsack(*arguments), counts, 1000)
    real = solution.patterns.min(axis=1) >= 0
    assert solution.amounts[real].sum() == pytest.approx(exact, abs=1e-4)
    assert solution.bound == np.ceil(exact - 1e-6)
    covered = solution.amounts @ solution.patterns
    assert covered == pytest.approx(counts, abs=1e-4)


@given(arguments=knapsacks(), max_pivots=st.integers(0, 6))
@quick
def test_bound_holds_wherever_the_simplex_stops(arguments, max_pivots):
    counts = arguments[1]
    columns = np.array([pack for pack in every_pack(*arguments) if pack.any()])
    exact = linprog(np.ones(len(columns)), A_ub=-columns.T, b_ub=-counts).fun
    assert solve(Knapsack(*arguments), counts, max_pivots).bound <= np.ceil(exact - 1e-6)


def test_whole_bound_has_no_rounding_error():
    # In float64 all three are 2**62 / 2**40.
    many = np.array([2**22])
    assert whole_bound(many, np.array([2**40]), 2**40) == 2**22
    assert whole_bound(many, np.array([2**40 + 1]), 2**40) == 2**22 + 1
    assert whole_bound(many, np.array([2**40 - 1]), 2**40) == 2**22


def test_packs_go_without_molecules_that_are_not_there():
    sizes, counts = np.array([2, 3]), np.array([8, 6])
    # 3 packs hold 9 molecules of size 3 and 2 of size 2 go with 2 packs of size 2 alone.
    solution = PatternSolution(
        patterns=np.array([[1, 3], [2, 0], [0, -1]]),
        amounts=np.array([3.0, 2.4, 3.0]),
        bound=0,
        pivots=0,
    )
    patterns, left = rounded_down(solution, sizes, counts)
    assert left.tolist() == [1, 0]
    held = [size for pattern in patterns for size in pattern.sizes * pattern.packs]
    assert (held.count(2), held.count(3)) == (7, 6)
    assert sum(pattern.packs for pattern in patterns) == 5
