"""Flexible water with point charges: energy and forces of a cluster, all pairs, no cutoff.

A water is O, H, H and a massless site M that carries the oxygen's charge:
M = w O + (1 - w) (H1 + H2) / 2.

Energy = sum over pairs of waters of 4 epsilon [(sigma / r_OO)^12 - (sigma / r_OO)^6]
         + sum over the nine pairs of their charged sites H, H, M of k q q' / r
       + sum over O-H bonds of D [(a x)^2 + c3 (a x)^3 + c4 (a x)^4], x = r_OH - r_eq
       + sum over waters of K / 2 (angle HOH - angle_eq)^2.
It is 0 for waters far apart and undistorted, so a cluster's energy is its binding energy.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from gnnpack.units import HARTREE_TO_EV, KCAL_PER_MOL_TO_EV

BOHR = 0.529177210903
"""Å in one Bohr radius, CODATA 2018 (relative uncertainty 1.5e-10)."""
COULOMB = HARTREE_TO_EV * BOHR
"""eV Å / e²: the energy of two elementary charges 1 Å apart."""


class WaterModel(NamedTuple):
    """Parameters of a flexible water in eV, Å, e and radians; the head of the file has the form."""

    epsilon: float
    sigma: float
    charge: float
    """Of one H; M carries minus twice as much."""
    oxygen_weight: float
    bond_energy: float
    bond_steepness: float
    bond_length: float
    angle_stiffness: float
    angle: float
    bond_cubic: float
    bond_quartic: float
    """c3 and c4 of the bond's series; both 0 for a harmonic bond."""


Q_TIP4P_F = WaterModel(
    epsilon=0.1852 * KCAL_PER_MOL_TO_EV,
    sigma=3.1589,
    charge=1.1128 / 2.0,
    oxygen_weight=0.73612,
    bond_energy=116.09 * KCAL_PER_MOL_TO_EV,
    bond_steepness=2.287,
    bond_length=0.9419,
    angle_stiffness=87.85 * KCAL_PER_MOL_TO_EV,
    angle=math.radians(107.4),
    # The quartic expansion of a Morse potential.
    bond_cubic=-1.0,
    bond_quartic=7.0 / 12.0,
)
"""q-TIP4P/F: Habershon, Markland, Manolopoulos, J. Chem. Phys. 131, 024501 (2009)."""

SPC_FW = WaterModel(
    epsilon=0.1554253 * KCAL_PER_MOL_TO_EV,
    sigma=3.165492,
    charge=0.41,
    # Its negative charge lies on the oxygen.
    oxygen_weight=1.0,
    # k / 2 x^2 with k = 1059.162 kcal/mol/Å^2: in the series D a^2 = k / 2, here with a = 1 / Å.
    bond_energy=1059.162 / 2.0 * KCAL_PER_MOL_TO_EV,
    bond_steepness=1.0,
    bond_length=1.012,
    angle_stiffness=75.90 * KCAL_PER_MOL_TO_EV,
    angle=math.radians(113.24),
    bond_cubic=0.0,
    bond_quartic=0.0,
)
"""SPC/Fw: Wu, Tepper, Voth, J. Chem. Phys. 124, 024503 (2006)."""

WATER_MODELS = {"q-tip4p-f": ("q-TIP4P/F", Q_TIP4P_F), "spc-fw": ("SPC/Fw", SPC_FW)}
"""What ``dataset.model`` calls a model -> its name in print, and its parameters."""

# One cluster's numbers lie in one array: a block for each of the sites O, H, H, M, in it rows of
# LANES numbers, a column for each water. Rows at constant distances are what lets a compiler see
# that they do not overlap, and turn loops over columns into vector instructions. No sum runs along
# such a loop, so vectors of any width give the same bits.
LANES = 136
MOST_WATERS = 128
PULL = 3 * LANES  # after x, y, z: the force on the site
SHARE = 6 * LANES  # the site's energies
FAR = 7 * LANES  # what is added to squared distances
BLOCK = 8 * LANES
ROOM = 4 * BLOCK
OUT_OF_REACH = 1e200


def interact(room: Any, num_waters: int, model: WaterModel) -> float:
    """Energy (eV) of the waters in ``room``, whose forces (eV/Å) on O, H, H are replaced."""
    # A multiple of the widest vector: columns without a water are out of everybody's reach.
    columns = (num_waters + 7) // 8 * 8
    for site in range(4):
        for place in range(site * BLOCK + PULL, site * BLOCK + FAR):
            room[place] = 0.0
        for column in range(columns):
            room[site * BLOCK + FAR + column] = 0.0 if column < num_waters else OUT_OF_REACH
    place_charges(room, num_waters, model.oxygen_weight)
    strength = COULOMB * model.charge * model.charge
    for water in range(num_waters):
        for site in range(4):
            room[site * BLOCK + FAR + water] = OUT_OF_REACH
        x, y, z = room[water], room[LANES + water], room[2 * LANES + water]
        repel(room[:BLOCK], columns, x, y, z, model.epsilon, model.sigma)
        for own in range(1, 4):
            begin = own * BLOCK + water
            x, y, z = room[begin], room[begin + LANES], room[begin + 2 * LANES]
            charge = -2.0 * strength if own == 3 else strength
            attract(room[BLOCK : 2 * BLOCK], columns, x, y, z, charge)
            attract(room[2 * BLOCK : 3 * BLOCK], columns, x, y, z, charge)
            attract(room[3 * BLOCK :], columns, x, y, z, -2.0 * charge)
        for site in range(4):
            room[site * BLOCK + FAR + water] = 0.0
    energy = 0.0
    for water in range(num_waters):
        for site in range(4):
            # A pair is met from both its ends.
            energy += 0.5 * room[site * BLOCK + SHARE + water]
        energy += distort(room, water, model)
    return energy


def place_charges(room: Any, num_waters: int, oxygen_weight: float) -> None:
    """The sites M."""
    for row in range(0, 3 * LANES, LANES):
        for place in range(row, row + num_waters):
            middle = 0.5 * (room[BLOCK + place] + room[2 * BLOCK + place])
            room[3 * BLOCK + place] = middle + oxygen_weight * (room[place] - middle)


def repel(
    block: Any, columns: int, x: float, y: float, z: float, epsilon: float, sigma: float
) -> None:
    """Add what an oxygen at (x, y, z) does to all others."""
    squared = sigma * sigma
    for other in range(columns):
        dx, dy, dz = block[other] - x, block[LANES + other] - y, block[2 * LANES + other] - z
        inverse = 1.0 / (dx * dx + dy * dy + dz * dz + block[FAR + other])
        near = squared * inverse
        sixth = near * near * near
        block[SHARE + other] += 4.0 * epsilon * (sixth * sixth - sixth)
        pull = 24.0 * epsilon * (2.0 * sixth * sixth - sixth) * inverse
        block[PULL + other] += pull * dx
        block[PULL + LANES + other] += pull * dy
        block[PULL + 2 * LANES + other] += pull * dz


def attract(block: Any, columns: int, x: float, y: float, z: float, strength: float) -> None:
    """Add what a charge at (x, y, z) does to a charged site of all others."""
    for other in range(columns):
        dx, dy, dz = block[other] - x, block[LANES + other] - y, block[2 * LANES + other] - z
        inverse = 1.0 / (dx * dx + dy * dy + dz * dz + block[FAR + other])
        share = strength * math.sqrt(inverse)
        block[SHARE + other] += share
        block[PULL + other] += share * inverse * dx
        block[PULL + LANES + other] += share * inverse * dy
        block[PULL + 2 * LANES + other] += share * inverse * dz


def distort(room: Any, water: int, model: WaterModel) -> float:
    """Energy of a water's own shape (eV); its forces are added, and M's shared out to O, H, H."""
    first, second, sites = BLOCK + water, 2 * BLOCK + water, 3 * BLOCK + water
    squared, other, product = 0.0, 0.0, 0.0
    for row in range(0, 3 * LANES, LANES):
        arm, its = room[first + row] - room[water + row], room[second + row] - room[water + row]
        squared, other, product = squared + arm * arm, other + its * its, product + arm * its
    one, two = math.sqrt(squared), math.sqrt(other)
    cosine = min(1.0, max(-1.0, product / (one * two)))
    bend = math.acos(cosine) - model.angle
    # The angle falls as its cosine grows: by 1 / sin, which is 0 only for a water without shape.
    turn = model.angle_stiffness * bend / math.sqrt(max(1e-12, 1.0 - cosine * cosine))
    first_energy, first_slope = stretch(one, model)
    second_energy, second_slope = stretch(two, model)
    share = 0.5 * (1.0 - model.oxygen_weight)
    for row in range(0, 3 * LANES, LANES):
        arm = (room[first + row] - room[water + row]) / one
        its = (room[second + row] - room[water + row]) / two
        on_first = turn * (its - cosine * arm) / one - first_slope * arm
        on_second = turn * (arm - cosine * its) / two - second_slope * its
        on_charge = room[sites + PULL + row]
        room[first + PULL + row] += on_first + share * on_charge
        room[second + PULL + row] += on_second + share * on_charge
        room[water + PULL + row] += model.oxygen_weight * on_charge - on_first - on_second
    energy: float = first_energy + second_energy + 0.5 * model.angle_stiffness * bend * bend
    return energy


def stretch(length: float, model: WaterModel) -> Any:
    """Energy of an O-H bond (eV), and its slope (eV/Å)."""
    x = model.bond_steepness * (length - model.bond_length)
    cubic, quartic = model.bond_cubic, model.bond_quartic
    energy = model.bond_energy * x * x * (1.0 + cubic * x + quartic * x * x)
    series = 2.0 + 3.0 * cubic * x + 4.0 * quartic * x * x
    slope = model.bond_energy * model.bond_steepness * x * series
    return energy, slope
