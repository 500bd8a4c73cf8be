"""Networks of hydrogen bonds, hydrogens on them, and the random numbers behind."""

from __future__ import annotations

import numpy as np
import pytest

from gnnpack.datasets.water_compiled import compiled
from gnnpack.datasets.water_hydrogens import donate, place_hydrogens
from gnnpack.datasets.water_making import is_sound
from gnnpack.datasets.water_model import BLOCK, LANES, Q_TIP4P_F, ROOM, interact
from gnnpack.datasets.water_network import (
    FARTHEST_BONDED,
    MOST_PLACES,
    NEAREST,
    NEAREST_STRANGER,
    NOBODY,
    grow_network,
    keep_places,
)
from gnnpack.datasets.water_random import draw, keys, shuffled, unit


def network(size: int, seed: int):
    """(state, oxygen, partner, degree, donated) of one that could be grown."""
    state = keys(seed, np.arange(1))
    oxygen, places = np.zeros((size, 3)), np.zeros((MOST_PLACES, 4))
    partner, degree = np.zeros((size, 4), np.int64), np.zeros(size, np.int64)
    while not compiled(grow_network)(state, oxygen, partner, degree, places):
        pass
    donated, left = np.zeros((size, 4)), np.zeros(size, np.int64)
    compiled(donate)(state, partner, degree, donated, left)
    return state, oxygen, partner, degree, donated


@pytest.fixture(params=[(1, 0), (2, 0), (3, 1), (9, 2), (24, 3), (30, 4), (90, 5)], scope="module")
def grown(request):
    return network(*request.param)


def test_bonded_oxygens_are_at_bond_distance_and_others_are_not(grown):
    _, oxygen, partner, degree, _ = grown
    apart = np.sqrt(((oxygen[:, None] - oxygen) ** 2).sum(axis=-1))
    bonded = np.zeros_like(apart, dtype=bool)
    for water, others in enumerate(partner):
        assert (others != NOBODY).sum() == degree[water]
        bonded[water, others[others != NOBODY]] = True
    assert np.array_equal(bonded, bonded.T)
    assert (bonded.sum(axis=1) == degree).all()
    assert ((apart[bonded] > NEAREST) & (apart[bonded] < FARTHEST_BONDED)).all()
    np.fill_diagonal(bonded, True)
    assert (apart[~bonded] > NEAREST_STRANGER).all()
    assert len(oxygen) == 1 or degree.min() >= 1


def test_every_bond_has_one_donor_and_nobody_gives_more_than_two(grown):
    _, _, partner, degree, donated = grown
    for water, others in enumerate(partner):
        for place, other in enumerate(others):
            if other == NOBODY:
                assert donated[water, place] == 0
                continue
            back = partner[other].tolist().index(water)
            assert {donated[water, place], donated[other, back]} == {-1, 1}
    gives = (donated == 1).sum(axis=1)
    assert (np.abs(2 * gives - degree) <= 1).all()  # so at most two


def test_donated_hydrogens_point_along_their_bonds(grown):
    state, oxygen, partner, _, donated = grown
    arms = np.zeros((2, 3))
    for water in range(len(oxygen)):
        compiled(place_hydrogens)(state, oxygen, partner, donated, water, arms)
        lengths = np.sqrt((arms**2).sum(axis=1))
        assert ((lengths > 0.9399) & (lengths < 0.9801)).all()
        angle = np.degrees(np.arccos(arms[0] @ arms[1] / lengths.prod()))
        assert 102.9 < angle < 109.1
        bonds = oxygen[partner[water, donated[water] == 1]] - oxygen[water]
        bonds /= np.sqrt((bonds**2).sum(axis=1, keepdims=True))
        cosines = bonds @ (arms / lengths[:, None]).T
        if len(bonds) == 1:
            assert cosines.max() == pytest.approx(1.0)
        if len(bonds) == 2:
            # Each hydrogen has a bond of its own, and misses it as far as the other does.
            own = cosines.argmax(axis=1)
            assert sorted(own) == [0, 1]
            assert cosines[0, own[0]] == pytest.approx(cosines[1, own[1]], abs=0.03)


def test_places_near_a_new_water_are_forgotten_and_those_at_bond_distance_count_it():
    lengths = [2.0, 2.8, 3.2, 5.0, 2.9, 6.0]
    places = np.zeros((MOST_PLACES, 4))
    places[:6, 0] = lengths
    places[:6, 3] = [1.0, 1.0, 1.0, 2.0, 3.0, 0.0]  # the last one was found useless before
    kept = keep_places(places, 6, 0.0, 0.0, 0.0)
    assert places[:kept, 0].tolist() == [2.8, 5.0, 2.9]
    assert places[:kept, 3].tolist() == [2.0, 2.0, 4.0]


def test_clusters_with_atoms_on_one_another_are_not_sound():
    room = np.zeros(ROOM)
    view = room.reshape(4, BLOCK // LANES, LANES)
    angle = np.radians(106.0)
    shape = 0.96 * np.array([[0, 0, 0], [1, 0, 0], [np.cos(angle), np.sin(angle), 0]])
    for water, oxygen in enumerate([[0.0, 0, 0], [0, 0, 3.0], [-4.0, 0, 0]]):
        view[:3, :3, water] = shape + oxygen
    sound = compiled(is_sound)
    compiled(interact)(room, 3, Q_TIP4P_F)
    assert sound(room, 3)
    for site, axis, moved in ((0, 2, 1.7), (1, 0, 0.5), (2, 1, -0.3)):
        view[site, axis, 1] -= moved
        assert not sound(room, 3)
        view[site, axis, 1] += moved
    for order in ([0, 1, 2], [0, 2, 1]):
        view[:3, :3, 0] = shape[order]
        # The third water's hydrogen 1.3 Å from the first one's, then 1.4 Å from its oxygen.
        for towards, away in (([-1, 1, 1], 0.96 + 1.3 + 0.96), ([1, 1, 1], -1.4 - 0.96)):
            view[:3, :3, 2] = (shape * towards)[order] + [away, 0, 0]
            assert not sound(room, 3)
            view[:3, :3, 2] = (shape * towards)[order] + [1.2 * away, 0, 0]
            assert sound(room, 3)


def test_draws_are_uniform_and_differ_between_keys():
    states = keys(0, np.arange(3))
    drawn = []
    for state in states:
        state = np.array([state])
        with np.errstate(over="ignore"):
            drawn.append([float(draw(state)) for _ in range(2000)])
    values = np.array(drawn)
    assert ((values >= 0.0) & (values < 1.0)).all()
    assert values.mean(axis=1) == pytest.approx(0.5, abs=0.03)
    assert values.std(axis=1) == pytest.approx(12**-0.5, abs=0.02)
    assert np.abs(np.corrcoef(values) - np.eye(3)).max() < 0.1
    many = unit(keys(5, np.arange(20_000)))
    assert np.histogram(many, 10, (0, 1))[0] == pytest.approx(2000, abs=200)


@pytest.mark.parametrize("total", [1, 2, 3, 5, 16, 17, 1000, 4097])
def test_an_order_has_every_place_once(total):
    places = shuffled(np.arange(total), total, seed=1)
    assert sorted(places.tolist()) == list(range(total))
    # Each is found alone.
    assert shuffled(np.array([total - 1]), total, seed=1)[0] == places[-1]


def test_an_order_is_mixed_and_its_own_seed_s():
    one, other = (shuffled(np.arange(5000), 5000, seed=seed) for seed in (0, 1))
    assert not np.array_equal(one, other)
    for order in (one, other):
        assert abs(np.corrcoef(order, np.arange(5000))[0, 1]) < 0.06
        assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 0.06
