"""Taking turns, spreads and ratios, by a clock that the test holds."""

from __future__ import annotations

import numpy as np
import pytest

from gnnpack.bench import section as section_room
from gnnpack.bench.section import PYG, Contender, add_facts, measure
from gnnpack.bench.timing import MOST_CALLS, WARM_UPS, spread, time_in_turns


class Clock:
    """Each call of `spend(seconds)` makes a call that takes so long."""

    def __init__(self):
        self.now = 0.0
        self.calls = []

    def __call__(self):
        return self.now

    def spend(self, name, *seconds):
        def call():
            self.now += seconds[min(self.calls.count(name), len(seconds) - 1)]
            self.calls.append(name)

        return call


def test_calls_take_turns_and_each_round_begins_with_another():
    clock = Clock()
    calls = {name: clock.spend(name, 1.0) for name in "abc"}
    time_in_turns(calls, 3, clock=clock)
    assert clock.calls == list("abc" * WARM_UPS) + list("abc") + list("bca") + list("cab")


def test_warm_up_rounds_can_be_fewer():
    clock = Clock()
    calls = {name: clock.spend(name, 1.0) for name in "ab"}
    time_in_turns(calls, 1, warm_ups=1, clock=clock)
    assert clock.calls == list("ab") + list("ab")


def test_first_calls_do_not_count():
    clock = Clock()
    found = time_in_turns({"a": clock.spend("a", 9.0, 9.0, 1.0, 2.0, 3.0)}, 3, clock=clock)
    assert found["a"].seconds.tolist() == [1.0, 2.0, 3.0]
    assert found["a"].calls_per_repeat == 1


def test_short_calls_are_repeated_until_the_clock_can_see_them():
    clock = Clock()
    calls = {"short": clock.spend("short", 0.25), "none": clock.spend("none", 0.0)}
    found = time_in_turns(calls, 2, least_seconds=1.0, clock=clock)
    assert found["short"].calls_per_repeat == 4
    assert found["short"].seconds.tolist() == [0.25, 0.25]
    assert found["none"].calls_per_repeat == MOST_CALLS


def test_spread_is_median_and_percentiles():
    values = np.arange(101.0)
    np.random.RandomState(0).shuffle(values)
    assert spread(values) == (50.0, 10.0, 90.0)
    assert spread([3.0]) == (3.0, 3.0, 3.0)


def test_no_repeats_are_refused():
    with pytest.raises(ValueError, match="repeats=0"):
        time_in_turns({}, 0)


def in_rounds(monkeypatch, clock):
    def timed(calls, repeats, *, least_seconds):
        return time_in_turns(calls, repeats, least_seconds=least_seconds, clock=clock)

    monkeypatch.setattr(section_room, "time_in_turns", timed)


def test_ratios_are_taken_inside_each_round(monkeypatch):
    """The machine gets ten times slower; the ratio does not move."""
    clock = Clock()
    in_rounds(monkeypatch, clock)
    ours = Contender("ours", "ours", clock.spend("ours", 1, 1, 1, 2, 10), molecules=20)
    pyg = Contender(PYG, "PyG", clock.spend("pyg", 1, 1, 3, 6, 30), molecules=20)
    rows = measure("step", "Step", "", [ours, pyg], 3, baseline=PYG).rows
    assert rows[0].times_baseline == (3.0, 3.0, 3.0)
    assert rows[1].times_baseline == (1.0, 1.0, 1.0)
    assert rows[0].seconds.median == 2.0
    assert rows[0].molecules_per_second.median == 10.0


def test_no_ratio_without_the_baseline(monkeypatch):
    clock = Clock()
    in_rounds(monkeypatch, clock)
    only = Contender("ours", "ours", clock.spend("ours", 1.0), facts=lambda: {"packs": 3})
    section = measure("step", "Step", "", [only], 2, baseline=PYG)
    assert section.baseline is None
    row = section.rows[0].as_dict()
    assert row["times_baseline"] is None
    assert row["molecules_per_second"] is None
    assert row["facts"] == {"packs": 3}
    assert row["seconds"] == {"median": 1.0, "p10": 1.0, "p90": 1.0}


def test_further_facts_join_those_of_their_row(monkeypatch):
    clock = Clock()
    in_rounds(monkeypatch, clock)
    names = ("a", "b")
    contenders = [Contender(n, n, clock.spend(n, 1.0), facts=lambda: {"packs": 3}) for n in names]
    section = add_facts(measure("step", "Step", "", contenders, 1), {"b": {"rate": 2.0}})
    assert [row.facts for row in section.rows] == [{"packs": 3}, {"packs": 3, "rate": 2.0}]
