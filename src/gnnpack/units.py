"""Conversion factors into the package's units (Å, eV, e), from the exact SI constants.

Source: CODATA 2018, https://physics.nist.gov/cuu/Constants/ (E. Tiesinga et al., Rev. Mod. Phys.
93, 025010, 2021). Elementary charge, Avogadro constant and speed of light are exact since the SI
of 2019; the Hartree energy is measured (relative uncertainty 1.9e-12).

>>> round(KCAL_PER_MOL_TO_EV, 10)
0.0433641042
"""

from __future__ import annotations

ELEMENTARY_CHARGE = 1.602176634e-19
"""C, exact."""
AVOGADRO = 6.02214076e23
"""1/mol, exact."""
SPEED_OF_LIGHT = 299792458.0
"""m/s, exact."""
JOULE_PER_CALORIE = 4.184
"""The thermochemical calorie, exact; the one quantum chemistry uses."""

HARTREE_TO_EV = 27.211386245988
"""eV in one Hartree."""
KCAL_PER_MOL_TO_EV = 1000.0 * JOULE_PER_CALORIE / (AVOGADRO * ELEMENTARY_CHARGE)
"""eV in one kcal/mol: 43.36 meV, what chemists call chemical accuracy."""
ELECTRON_ANGSTROM_TO_DEBYE = ELEMENTARY_CHARGE * 1e-10 * SPEED_OF_LIGHT / 1e-21
"""Debye in one e Å; 1 D = 1e-21 C m²/s divided by the speed of light."""
