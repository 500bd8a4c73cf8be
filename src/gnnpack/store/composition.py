"""Which sums of reference energies the compositions of molecules can tell."""

from __future__ import annotations

from fractions import Fraction
from math import gcd
from typing import TYPE_CHECKING, Mapping, Sequence

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def determined_sums(
    composition: NDArray[np.float64], elements: Sequence[int]
) -> list[dict[int, int]]:
    """A basis of the whole-number sums that molecules determine: atomic number -> how many.

    composition (M, E): atoms of each of the ``elements`` in each molecule. As many sums as there
    are elements mean that each element stands alone in one.

    >>> determined_sums(np.array([[2.0, 1.0], [4.0, 2.0]]), [1, 8])
    [{1: 2, 8: 1}]
    """
    # The Gram matrix has the rows' space, and few enough entries for exact fractions.
    counts = np.asarray(composition, dtype=np.int64)
    rows = [[Fraction(entry) for entry in row] for row in (counts.T @ counts).tolist()]
    return [_whole(row, elements) for row in _reduced(rows) if any(row)]


def ambiguous_elements(sums: Sequence[Mapping[int, int]], elements: Sequence[int]) -> list[int]:
    """The elements whose own reference energy the sums do not determine."""
    alone = {next(iter(one)) for one in sums if len(one) == 1}
    return [element for element in elements if element not in alone]


def sum_words(one: Mapping[int, int]) -> str:
    """A sum for people.

    >>> sum_words({1: 2, 6: -1, 8: 1})
    '2 H - C + O'
    """
    from ase.data import chemical_symbols

    text = ""
    for element, times in one.items():
        sign = "-" if times < 0 else "+"
        number = "" if abs(times) == 1 else f"{abs(times)} "
        text += f" {sign} {number}{chemical_symbols[element]}"
    return text.strip("+ ") if not text.startswith(" -") else text.strip()


def _reduced(rows: list[list[Fraction]]) -> list[list[Fraction]]:
    """The reduced row echelon form."""
    top = 0
    for column in range(len(rows)):
        pivot = next((k for k in range(top, len(rows)) if rows[k][column]), None)
        if pivot is None:
            continue
        rows[top], rows[pivot] = rows[pivot], rows[top]
        rows[top] = [entry / rows[top][column] for entry in rows[top]]
        for k in range(len(rows)):
            if k != top and rows[k][column]:
                factor = rows[k][column]
                rows[k] = [one - factor * two for one, two in zip(rows[k], rows[top])]
        top += 1
    return rows


def _whole(row: Sequence[Fraction], elements: Sequence[int]) -> dict[int, int]:
    common = 1
    for entry in row:
        common = common * entry.denominator // gcd(common, entry.denominator)
    return {
        int(element): int(entry * common) for element, entry in zip(elements, row) if entry != 0
    }
