"""The weights, the ways and the draws against their plain statement."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from every_packer import quick
from hypothesis import given
from hypothesis import strategies as st

from gnnpack.packing import PackShape
from gnnpack.packing.compiled import _stamp, linked
from gnnpack.packing.random_numbers import unit
from gnnpack.packing.stream_buffer import FED, FIRST, FOLLOWING, admit, put_back, release, take
from gnnpack.packing.stream_draw import draw_place
from gnnpack.packing.stream_pairs import exchange, leave_out, top_up
from gnnpack.packing.stream_state import empty_state, limits_of
from gnnpack.packing.stream_weights import (
    ACTIVE,
    KIND,
    LEVELS,
    REACH,
    UNIT,
    UNITS,
    weigh,
)


def weighed(sizes, shape):
    """The state of a buffer of these sizes, its weights just made."""
    limits = limits_of(shape)
    state = empty_state(limits, len(sizes))
    for number, size in enumerate(sizes):
        admit(state.slots, state.queues, state.marks, int(limits[3]), number, size, 0)
    weigh(state.slots, state.queues, state.marks, limits, state.kinds, state.weights, state.ways)
    return state


def ways_by_hand(kinds, left, most):
    """Weight of all sequences of at most `most` of kinds [(units, weight)], with their ends."""
    end = 1.0 if left == 0 else (0.1 / left) ** 4
    if most == 0:
        return end
    return end + sum(
        weight * ways_by_hand(kinds, left - units, most - 1)
        for units, weight in kinds
        if units <= left
    )


buffers = st.lists(st.sampled_from([2, 3, 4, 6, 8, 9]), min_size=1, max_size=12)


@given(sizes=buffers, num_atoms=st.integers(9, 24), most=st.sampled_from([None, 2, 3]))
@quick
def test_weights_and_ways(sizes, num_atoms, most):
    state = weighed(sizes, PackShape(num_atoms, None, most))
    marks = state.marks
    counts = Counter(sizes)
    kinds = state.kinds[KIND, : marks[ACTIVE]].tolist()
    weights = state.weights[: marks[ACTIVE]]
    assert kinds == sorted(counts)
    powers = np.array([counts[kind] ** 4 for kind in kinds])
    np.testing.assert_allclose(weights, powers / powers.sum())
    unit = int(marks[UNIT])
    assert unit == np.gcd.reduce(sizes)
    units = state.kinds[UNITS, : marks[ACTIVE]].tolist()
    assert units == [kind // unit for kind in kinds]
    known = list(zip(units, weights.tolist()))
    for left in range(int(marks[REACH]) + 1):
        # So many molecules are as good as any number.
        expected = ways_by_hand(known, left, int(marks[LEVELS]) or left)
        assert state.ways[max(marks[LEVELS], 1), left] == pytest.approx(expected)


@given(sizes=buffers, left=st.integers(1, 12), held=st.integers(0, 1))
@quick
def test_draws_go_by_weight_times_ways(sizes, left, held):
    state = weighed(sizes, PackShape(12))
    unit = int(state.marks[UNIT])
    left //= unit
    known = list(zip((state.kinds[UNITS]).tolist(), state.weights.tolist()))
    known = known[: state.marks[ACTIVE]]
    chances = [
        weight * ways_by_hand(known, left - units, left) if units <= left else 0.0
        for units, weight in known
    ]
    # A pack does not end empty.
    chances.append(((0.1 / left) ** 4 if left else 1.0) if held else 0.0)
    even = (np.arange(4000) + 0.5) / 4000
    places = [
        draw_place(
            state.queues, state.marks, state.kinds, state.weights, state.ways, left, held, at
        )
        for at in even.tolist()
    ]
    drawn = np.bincount(np.array(places) % len(chances), minlength=len(chances)) / 4000
    total = sum(chances)
    if total == 0.0:
        assert set(places) == {-1}
    else:
        np.testing.assert_allclose(drawn, np.array(chances) / total, atol=2e-3)


pair_counts = st.lists(st.integers(0, 30), min_size=2, max_size=8)


def with_pairs(pairs, limit, num_atoms=20):
    """A buffer of molecules of 5 atoms with these pairs, and its limits."""
    limits = limits_of(PackShape(num_atoms, limit))
    state = empty_state(limits, len(pairs))
    for number, held in enumerate(pairs):
        admit(state.slots, state.queues, state.marks, 1, number, 5, held)
    weigh(state.slots, state.queues, state.marks, limits, state.kinds, state.weights, state.ways)
    return state, limits


@given(pairs=pair_counts, limit=st.integers(30, 60), least=st.integers(0, 30))
@quick
def test_the_molecule_nearest_to_what_is_wanted_is_exchanged_in(pairs, limit, least):
    state, limits = with_pairs(pairs, limit)
    take(state.slots, state.queues, 5, 0)
    trial = np.array([0])
    found = exchange(state.slots, state.queues, limits, trial, 0, 1, pairs[0], float(least))
    assert found == pairs[trial[0]]
    assert max(least - found, 0) == min(max(least - held, 0) for held in pairs)
    assert sorted([*queue(state, 5), int(trial[0])]) == list(range(len(pairs)))


@given(pairs=pair_counts, limit=st.integers(30, 60))
@quick
def test_a_pack_over_its_pairs_is_cut_and_filled_again(pairs, limit):
    state, limits = with_pairs(pairs, limit)
    drawn = min(len(pairs), 4)
    trial = np.arange(len(pairs))
    for slot in range(drawn):
        take(state.slots, state.queues, 5, slot)
    over = sum(pairs[:drawn])
    held = leave_out(state.slots, state.queues, limits, trial, 0, drawn, over)
    assert sum(pairs[slot] for slot in trial[:held]) <= limit
    if over > limit and over - max(pairs[:drawn]) <= limit:
        assert held == drawn - 1
    held = top_up(state.slots, state.queues, state.marks, limits, state.kinds, trial, held)
    total = sum(pairs[slot] for slot in trial[:held])
    assert total <= limit
    assert held <= 4
    rest = queue(state, 5)
    assert sorted([*rest, *trial[:held].tolist()]) == list(range(len(pairs)))
    assert held == 4 or all(total + pairs[slot] > limit for slot in rest)


def test_random_numbers_are_even():
    key = np.uint64(12345)
    with np.errstate(over="ignore"):
        drawn = np.array([unit(key, number) for number in range(4000)])
    assert 0.0 <= drawn.min() <= drawn.max() < 1.0
    assert np.unique(drawn).size == 4000
    np.testing.assert_allclose(np.histogram(drawn, 8, (0, 1))[0] / 500, 1.0, atol=0.15)


def queue(state, kind):
    slots, slot = [], int(state.queues[FIRST, kind])
    while slot >= 0:
        slots.append(slot)
        slot = int(state.slots[FOLLOWING, slot])
    return slots


@given(taken=st.permutations(range(5)), again=st.permutations(range(5)), most=st.integers(0, 5))
@quick
def test_queues_are_as_before_when_all_is_put_back(taken, again, most):
    state = empty_state(limits_of(PackShape(9)), 6)
    for number in range(5):
        admit(state.slots, state.queues, state.marks, 1, number, 7, 0)
    for slot in taken[:most]:
        take(state.slots, state.queues, 7, slot)
        assert slot not in queue(state, 7)
    for slot in again:
        if slot in taken[:most]:
            put_back(state.slots, state.queues, 7, slot)
    assert queue(state, 7) == [0, 1, 2, 3, 4]
    admit(state.slots, state.queues, state.marks, 1, 5, 7, 0)
    assert queue(state, 7) == [0, 1, 2, 3, 4, 5]


def test_slots_are_used_again():
    state = empty_state(limits_of(PackShape(9)), 2)
    for number in (70, 80):
        admit(state.slots, state.queues, state.marks, 1, number, 7, 0)
    packed = np.array([1, 0])
    for slot in packed:
        take(state.slots, state.queues, 7, slot)
    release(state.slots, state.marks, packed, 0, 2)
    assert packed.tolist() == [80, 70]
    admit(state.slots, state.queues, state.marks, 1, 90, 3, 0)
    assert queue(state, 3) == [0]
    assert queue(state, 7) == []
    assert state.marks[FED] == 3


def test_a_compiled_kernel_is_known_by_its_parts():
    assert _stamp(weigh) != _stamp(draw_place)
    assert linked(weigh).__name__ == "weigh"
    scope = dict(unit.__globals__, _UNIT=1.0)
    other = type(unit)(unit.__code__, scope, "unit")
    assert _stamp(unit) != _stamp(other)
