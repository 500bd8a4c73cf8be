from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.calculators import tip3p, tip4p

from gnnpack.datasets import water_compiled
from gnnpack.datasets.water_energy import water_energy
from gnnpack.datasets.water_model import COULOMB, Q_TIP4P_F, WaterModel

AXES = np.eye(3)


def some_waters(number: int, seed: int = 0) -> np.ndarray:
    """Waters of odd shapes on a crooked lattice, (3 number, 3) Å."""
    random = np.random.RandomState(seed)
    sites = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(-1, 3)[:number]
    oxygens = 3.1 * sites + random.uniform(-0.2, 0.2, sites.shape)
    return np.concatenate([one_water(random, oxygen) for oxygen in oxygens])


def one_water(random, oxygen, lengths=(0.85, 1.15), angles=(95.0, 120.0)) -> np.ndarray:
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    angle = math.radians(random.uniform(*angles))
    first = random.uniform(*lengths) * turn[0]
    second = random.uniform(*lengths) * (math.cos(angle) * turn[0] + math.sin(angle) * turn[1])
    return np.array([oxygen, oxygen + first, oxygen + second])


def energy_by_hand(pos: np.ndarray) -> float:
    """The formula at the head of water_model, one pair at a time, in kcal/mol until the end."""
    kcal = 4184.0 / (6.02214076e23 * 1.602176634e-19)
    waters = pos.reshape(-1, 3, 3)
    charges = [0.5564, 0.5564, -1.1128]
    sites = [[one[1], one[2], 0.73612 * one[0] + 0.13194 * (one[1] + one[2])] for one in waters]
    total = 0.0
    for i, one in enumerate(waters):
        for hydrogen in one[1:]:
            x = np.linalg.norm(hydrogen - one[0]) - 0.9419
            a = 2.287
            total += 116.09 * (a**2 * x**2 - a**3 * x**3 + 7 / 12 * a**4 * x**4)
        u, v = one[1] - one[0], one[2] - one[0]
        angle = math.acos(u @ v / np.linalg.norm(u) / np.linalg.norm(v))
        total += 87.85 / 2 * (angle - math.radians(107.4)) ** 2
        for j in range(i):
            ratio = 3.1589 / np.linalg.norm(one[0] - waters[j][0])
            total += 4 * 0.1852 * (ratio**12 - ratio**6)
            for p, here in zip(charges, sites[i]):
                for q, there in zip(charges, sites[j]):
                    total += COULOMB / kcal * p * q / np.linalg.norm(here - there)
    return total * kcal


@pytest.mark.parametrize("number", [1, 2, 5, 9, 16])
def test_energy_by_hand(number):
    pos = some_waters(number, seed=number)
    assert water_energy(pos)[0] == pytest.approx(energy_by_hand(pos), rel=1e-11)


def test_coulomb_constant():
    # e^2 / (4 pi epsilon_0), CODATA 2018.
    vacuum = 8.8541878128e-12
    by_hand = 1.602176634e-19 / (4 * math.pi * vacuum) * 1e10
    assert pytest.approx(by_hand, rel=1e-9) == COULOMB


@pytest.mark.parametrize("number", [1, 4])
def test_forces_are_the_slope_of_the_energy(number):
    pos = some_waters(number, seed=7)
    forces = water_energy(pos)[1]
    step = 1e-4
    for place in np.ndindex(pos.shape):
        away = np.zeros_like(pos)
        away[place] = step
        # Fourth order, so that rounding and curvature both stay below 1e-8.
        one = water_energy(pos + away)[0] - water_energy(pos - away)[0]
        two = water_energy(pos + 2 * away)[0] - water_energy(pos - 2 * away)[0]
        slope = (8 * one - two) / (12 * step)
        assert forces[place] == pytest.approx(-slope, rel=1e-8, abs=1e-8)


def test_energy_does_not_see_the_frame_nor_the_order():
    pos = some_waters(6)
    turn = np.linalg.qr(np.random.RandomState(1).normal(size=(3, 3)))[0]
    energy, forces = water_energy(pos)
    moved, turned = water_energy(pos @ turn + [3.0, -20.0, 7.0])
    assert moved == pytest.approx(energy, rel=1e-11)
    assert turned == pytest.approx(forces @ turn, abs=1e-10)
    order = np.array([12, 14, 13, 0, 1, 2, 9, 10, 11, 3, 5, 4, 6, 7, 8, 15, 16, 17])
    swapped, mixed = water_energy(pos[order])
    assert swapped == pytest.approx(energy, rel=1e-12)
    assert mixed == pytest.approx(forces[order], abs=1e-11)


def test_nothing_outside_pushes_or_turns_a_cluster():
    pos = some_waters(7)
    forces = water_energy(pos)[1]
    assert forces.sum(axis=0) == pytest.approx(0.0, abs=1e-11)
    assert np.cross(pos, forces).sum(axis=0) == pytest.approx(0.0, abs=1e-10)


def test_zero_is_waters_apart_in_their_own_shape():
    angle = math.radians(107.4)
    water = 0.9419 * np.array([[0, 0, 0], [1, 0, 0], [math.cos(angle), math.sin(angle), 0]])
    assert water_energy(water)[0] == pytest.approx(0.0, abs=1e-14)
    assert water_energy(water)[1] == pytest.approx(0.0, abs=1e-12)
    apart = np.concatenate([water, water + 1e5])
    assert water_energy(apart)[0] == pytest.approx(0.0, abs=1e-12)


# --- ASE's rigid waters: what acts between waters, at their shape ---


def rigid(ase_model, oxygen_weight: float) -> WaterModel:
    """Its parameters in our form, without the energy of a water's own shape."""
    return Q_TIP4P_F._replace(
        epsilon=ase_model.epsilon0,
        sigma=ase_model.sigma0,
        charge=ase_model.qH,
        oxygen_weight=oxygen_weight,
        bond_energy=0.0,
        angle_stiffness=0.0,
    )


def rigid_waters() -> np.ndarray:
    random = np.random.RandomState(3)
    shape = {"lengths": (tip3p.rOH, tip3p.rOH), "angles": (tip3p.angleHOH, tip3p.angleHOH)}
    places = 2.9 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]])
    return np.concatenate([one_water(random, place, **shape) for place in places])


def test_ase_agrees_between_waters_tip3p():
    pos = rigid_waters()
    oracle = Atoms("OHH" * 5, positions=pos, calculator=tip3p.TIP3P(rc=1e3))
    energy, forces = water_energy(pos, rigid(tip3p, oxygen_weight=1.0))
    # ASE's constants are of CODATA 2014.
    assert energy == pytest.approx(oracle.get_potential_energy(), rel=1e-7)
    assert forces == pytest.approx(oracle.get_forces(), rel=1e-7, abs=1e-8)


def test_ase_agrees_between_waters_tip4p():
    pos = rigid_waters()
    oracle = Atoms("OHH" * 5, positions=pos, calculator=tip4p.TIP4P(rc=1e3))
    # Its charge lies 0.15 Å from the oxygen, towards the point between the hydrogens.
    towards = tip3p.rOH * math.cos(math.radians(tip3p.angleHOH) / 2)
    energy, forces = water_energy(pos, rigid(tip4p, oxygen_weight=1.0 - 0.15 / towards))
    assert energy == pytest.approx(oracle.get_potential_energy(), rel=1e-7)
    # It shares M's force out in another way, which the force on a whole water does not see.
    whole = [each.reshape(5, 3, 3).sum(axis=1) for each in (forces, oracle.get_forces())]
    assert whole[0] == pytest.approx(whole[1], rel=1e-6, abs=1e-7)


# --- what comes from outside ---


@pytest.mark.parametrize("shape", [(0, 3), (4, 3), (3, 2), (3 * 129, 3)])
def test_refuses_what_is_not_water(shape):
    with pytest.raises(ValueError, match="three atoms for each of N"):
        water_energy(np.zeros(shape))


def test_plain_python_agrees_with_compiled_code(monkeypatch, caplog):
    pos = some_waters(3)
    energy, forces = water_energy(pos)
    monkeypatch.setitem(sys.modules, "numba", None)
    water_compiled.compiled.cache_clear()
    try:
        slow_energy, slow_forces = water_energy(pos)
    finally:
        water_compiled.compiled.cache_clear()
    assert "numba is not installed" in caplog.text
    assert slow_energy == pytest.approx(energy, rel=1e-13)
    assert slow_forces == pytest.approx(forces, rel=1e-12, abs=1e-13)
