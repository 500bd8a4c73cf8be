"""The loops that read frames of text, for numba; `hydronet_frames` says what they must give."""

from __future__ import annotations

from functools import lru_cache
from types import FunctionType
from typing import Any, Callable

import numpy as np

# A whole number below 2**53 and a power of ten up to 22 are both exact in float64, so one
# multiplication or division of the two is what float() gives (Clinger 1990, 10.1145/93542.93557).
_MOST_DIGITS = 15
_LARGEST_POWER = 22
_POWERS = np.array([float(10**power) for power in range(_LARGEST_POWER + 1)])
_SPACE, _NEWLINE, _PLUS, _MINUS, _POINT = (ord(letter) for letter in " \n+-.")
_ZERO, _NINE, _E, _SMALL_E, _H, _O = (ord(letter) for letter in "09EeHO")


@lru_cache(maxsize=None)
def compiled_kernel() -> Callable[..., Any] | None:
    """`read_in_loops` compiled, or None where numba is not installed."""
    try:
        import numba
    except ImportError:
        return None
    scope = {**globals(), "read_word": numba.njit(nogil=True)(read_word)}
    loops = FunctionType(read_in_loops.__code__, scope, read_in_loops.__name__)
    try:
        # Without the interpreter's lock: several files are read at once.
        kernel: Callable[..., Any] = numba.njit(cache=True, nogil=True)(loops)
    except RuntimeError:
        # No folder that numba may write its cache to.
        kernel = numba.njit(nogil=True)(loops)
    return kernel


def read_in_loops(text: Any, at_end: bool, z: Any, pos: Any, energies: Any) -> tuple[int, int]:
    """Frames read from ``text`` (uint8) into z, pos and energies, and bytes they take.

    Stops before the first frame that is incomplete, wrong, or not known to be read exactly.
    """
    num_atoms = z.shape[1]
    values = np.zeros(4)
    used = 0
    for frame in range(len(energies)):
        at = used
        for line in range(num_atoms + 2):
            symbol, words, ended = 0, 0, at >= len(text)
            if ended:
                return frame, used
            while at < len(text) and not ended:
                if text[at] > _SPACE:
                    if words == 0:
                        symbol = text[at]
                    # Words after the fourth take its place: an energy is its line's last.
                    values[min(words, 3)], at = read_word(text, at)
                    words += 1
                else:
                    ended = text[at] == _NEWLINE
                    at += 1
            if not ended and not at_end:
                return frame, used
            last = values[min(words, 4) - 1]
            if line == 0:
                if words != 1 or last != num_atoms:
                    return frame, used
            elif line == 1:
                if words == 0 or not np.isfinite(last):
                    return frame, used
                energies[frame] = last
            else:
                # An element is one letter, so no number.
                if words != 4 or not np.isnan(values[0]) or (symbol != _H and symbol != _O):
                    return frame, used
                z[frame, line - 2] = 8 if symbol == _O else 1
                for axis in range(3):
                    if not np.isfinite(values[axis + 1]):
                        return frame, used
                    pos[frame, line - 2, axis] = values[axis + 1]
        used = at
    return len(energies), used


def read_word(text: Any, at: int) -> tuple[float, int]:
    """The number of the word at ``at``, and where the word ends.

    NaN for a word that is no number, or one that this does not read exactly, and infinity for a
    word that begins like an element but is longer.
    """
    first = at
    negative = text[at] == _MINUS
    if negative or text[at] == _PLUS:
        at += 1
    mantissa, digits, power = 0, 0, 0
    pointed = False
    while at < len(text) and digits <= _MOST_DIGITS:
        if _ZERO <= text[at] <= _NINE:
            mantissa = mantissa * 10 + (text[at] - _ZERO)
            digits += 1
            power -= pointed
        elif text[at] == _POINT and not pointed:
            pointed = True
        else:
            break
        at += 1
    exact = 0 < digits <= _MOST_DIGITS
    if exact and at < len(text) and (text[at] == _E or text[at] == _SMALL_E):
        at += 1
        below = at < len(text) and text[at] == _MINUS
        if below or (at < len(text) and text[at] == _PLUS):
            at += 1
        exponent = 0
        exact = at < len(text) and _ZERO <= text[at] <= _NINE
        while at < len(text) and _ZERO <= text[at] <= _NINE and exponent < 100:
            exponent = exponent * 10 + (text[at] - _ZERO)
            at += 1
        power += -exponent if below else exponent
    exact = exact and (at == len(text) or text[at] <= _SPACE)
    while at < len(text) and text[at] > _SPACE:
        at += 1
    if not exact or not -_LARGEST_POWER <= power <= _LARGEST_POWER:
        return (np.nan if at == first + 1 or digits else np.inf), at
    value = mantissa * _POWERS[power] if power >= 0 else mantissa / _POWERS[-power]
    return (-value if negative else value), at
