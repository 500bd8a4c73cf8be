"""SPC/Fw beside q-TIP4P/F: another model of water in the same form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from gnnpack.datasets import WaterClusters
from gnnpack.datasets.water_energy import water_energy
from gnnpack.datasets.water_model import COULOMB, Q_TIP4P_F, SPC_FW, WATER_MODELS, stretch
from gnnpack.datasets.water_statistics import water_statistics

KCAL = 4184.0 / (6.02214076e23 * 1.602176634e-19)


def some_waters(number: int, seed: int = 0) -> np.ndarray:
    """Distorted waters on a crooked row, (3 number, 3) Å."""
    random = np.random.RandomState(seed)
    waters = []
    for place in range(number):
        oxygen = np.array([2.9 * place, 0.4 * (place % 2), 0.0]) + random.uniform(-0.1, 0.1, 3)
        turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
        angle, one, other = random.uniform(1.7, 2.2), *random.uniform(0.9, 1.15, 2)
        second = math.cos(angle) * turn[0] + math.sin(angle) * turn[1]
        waters += [oxygen, oxygen + one * turn[0], oxygen + other * second]
    return np.array(waters)


def energy_by_hand(pos: np.ndarray) -> float:
    """Wu, Tepper, Voth 2006, eqs. 1-3 and table I, a pair at a time, in kcal/mol until the end."""
    waters, charges = pos.reshape(-1, 3, 3), (-0.82, 0.41, 0.41)
    total = 0.0
    for i, one in enumerate(waters):
        arms = one[1:] - one[0]
        lengths = np.linalg.norm(arms, axis=1)
        angle = math.acos(arms[0] @ arms[1] / lengths.prod())
        total += 1059.162 / 2 * ((lengths - 1.012) ** 2).sum()
        total += 75.90 / 2 * (angle - math.radians(113.24)) ** 2
        for other in waters[:i]:
            ratio = 3.165492 / np.linalg.norm(one[0] - other[0])
            total += 4 * 0.1554253 * (ratio**12 - ratio**6)
            for p, here in zip(charges, one):
                for q, there in zip(charges, other):
                    total += COULOMB / KCAL * p * q / np.linalg.norm(here - there)
    return total * KCAL


@pytest.mark.parametrize("number", [1, 2, 7])
def test_energy_by_hand(number):
    pos = some_waters(number, seed=number)
    assert water_energy(pos, SPC_FW)[0] == pytest.approx(energy_by_hand(pos), rel=1e-11)


@pytest.mark.parametrize("number", [1, 4])
def test_forces_are_the_slope_of_the_energy(number):
    pos = some_waters(number, seed=7)
    forces = water_energy(pos, SPC_FW)[1]
    step = 1e-4
    for place in np.ndindex(pos.shape):
        away = np.zeros_like(pos)
        away[place] = step
        one = water_energy(pos + away, SPC_FW)[0] - water_energy(pos - away, SPC_FW)[0]
        two = water_energy(pos + 2 * away, SPC_FW)[0] - water_energy(pos - 2 * away, SPC_FW)[0]
        assert forces[place] == pytest.approx(-(8 * one - two) / (12 * step), rel=1e-8, abs=1e-8)


def relaxed(pos: np.ndarray, model) -> tuple[np.ndarray, float]:
    """Positions and energy (eV) of the minimum downhill from ``pos``."""

    def energy(flat):
        found, forces = water_energy(flat.reshape(-1, 3), model)
        return found, -forces.ravel()

    found = minimize(energy, pos.ravel(), jac=True, method="BFGS", options={"gtol": 1e-7})
    return found.x.reshape(-1, 3), float(found.fun)


@pytest.mark.parametrize(
    "model, length, angle", [(SPC_FW, 1.012, 113.24), (Q_TIP4P_F, 0.9419, 107.4)]
)
def test_one_water_relaxes_to_its_own_shape(model, length, angle):
    (oxygen, *hydrogens), energy = relaxed(some_waters(1, seed=2), model)
    arms = np.array(hydrogens) - oxygen
    assert np.linalg.norm(arms, axis=1) == pytest.approx(length, abs=1e-6)
    cosine = arms[0] @ arms[1] / np.linalg.norm(arms, axis=1).prod()
    assert math.degrees(math.acos(cosine)) == pytest.approx(angle, abs=1e-4)
    assert energy == pytest.approx(0.0, abs=1e-12)


def test_a_dimer_is_bound_as_three_point_waters_are():
    """SPC's dimer is bound by 6.6 kcal/mol at 2.75 Å; a flexible one gives way a little."""
    made = WaterClusters(1, sizes=[2, 2], model="spc-fw").clusters([0])
    pos, energy = relaxed(made.pos.astype(np.float64), SPC_FW)
    assert 6.2 < -energy / KCAL < 7.6
    assert 2.65 < np.linalg.norm(pos[3] - pos[0]) < 2.80
    arms = np.linalg.norm(pos.reshape(2, 3, 3)[:, 1:] - pos.reshape(2, 3, 3)[:, :1], axis=-1)
    # The bond that is donated is the longest.
    assert arms.max() > 1.015
    other = relaxed(made.pos.astype(np.float64), Q_TIP4P_F)[1]
    assert abs(energy - other) > 0.01


@pytest.mark.parametrize("length", [0.85, 0.9419, 0.9500001, 0.99, 1.15, 2.0])
def test_the_series_of_the_first_model_is_its_morse_expansion_bit_for_bit(length):
    # What the kernel had before there was another model; stores and checkpoints are made of it.
    x = Q_TIP4P_F.bond_steepness * (length - Q_TIP4P_F.bond_length)
    energy = Q_TIP4P_F.bond_energy * x * x * (1.0 - x + 7.0 / 12.0 * x * x)
    steep = Q_TIP4P_F.bond_energy * Q_TIP4P_F.bond_steepness
    assert stretch(length, Q_TIP4P_F) == (energy, steep * x * (2.0 - 3.0 * x + 7.0 / 3.0 * x * x))


# --- the data set ---


def test_stores_made_before_there_was_a_choice_keep_their_names():
    assert WaterClusters(4000, subset="large", seed=3).store_name == "water_clusters-39c51352534f"
    assert WaterClusters(300, sizes=[2, 2]).store_name == "water_clusters-848deb614d59"


def test_models_have_stores_and_labels_of_their_own():
    one, other = (WaterClusters(10, model=name) for name in WATER_MODELS)
    assert one.store_name == WaterClusters(10).store_name != other.store_name
    labels = [one.source_label, other.source_label]
    assert labels == ["made, q-TIP4P/F, seed 0", "made, SPC/Fw, seed 0"]


def test_clusters_are_labelled_by_their_own_model():
    made = WaterClusters(5, sizes=[3, 6], model="spc-fw").clusters(range(5))
    for number in range(5):
        first, last = made.offsets[number : number + 2]
        energy, forces = water_energy(made.pos[first:last].astype(np.float64), SPC_FW)
        assert made.targets["energy"][number] == energy
        assert np.array_equal(made.forces[first:last], forces.astype(np.float32))


def test_clusters_are_relaxed_by_their_own_model():
    models = [
        WaterClusters(60, sizes=[10, 10], model=name).clusters(range(60)) for name in WATER_MODELS
    ]
    one, other = (water_statistics(made) for made in models)
    # Both from the same networks of oxygens.
    assert one.bonded_oxygens == pytest.approx(other.bonded_oxygens, abs=0.05)
    assert other.bond_length == pytest.approx(1.024, abs=0.005)
    assert 107.5 < other.angle < 111.5
    for made in models:
        assert np.sqrt((made.forces.astype(np.float64) ** 2).sum(-1).mean()) < 0.25


def test_an_unknown_model_is_refused():
    with pytest.raises(ValueError, match="'tip3p'; choose one of q-tip4p-f, spc-fw"):
        WaterClusters(5, model="tip3p")
