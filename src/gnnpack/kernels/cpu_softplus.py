"""The shifted softplus and its slope inside compiled loops, float32; import only where numba is.

exp and log1p are polynomials in arithmetic a compiler turns into vector instructions, which calls
into a library of functions prevent. The exponential is Cephes' (Moshier, `expf`); both are within
two units in the last place.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

LOG2_E = np.float32(1.44269504088896341)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
LN2 = np.float32(0.6931471805599453)
LOWEST = np.float32(-87.0)  # below it e^x is no normal float32
HALF, ONE, TWO, ZERO = np.float32(0.5), np.float32(1), np.float32(2), np.float32(0)
# e^x = 1 + x + x^2 * polynomial on [-ln 2 / 2, ln 2 / 2]
E5, E4, E3 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
E2, E1, E0 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
# ln((1 + s) / (1 - s)) = 2 (s + s^3 / 3 + s^5 / 5 + ...)
L6, L5, L4 = np.float32(2 / 13), np.float32(2 / 11), np.float32(2 / 9)
L3, L2, L1 = np.float32(2 / 7), np.float32(2 / 5), np.float32(2 / 3)


@intrinsic
def _float_of_bits(typing_context, bits):  # type: ignore[no-untyped-def]
    """The float32 that a 32-bit pattern stands for."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@njit(inline="always")
def _exp(x):  # type: ignore[no-untyped-def]
    """e^x for x <= 0; NaN stays NaN."""
    x = LOWEST if x < LOWEST else x
    power = np.floor(x * LOG2_E + HALF)
    r = x - power * LN2_HIGH - power * LN2_LOW
    series = ((((E5 * r + E4) * r + E3) * r + E2) * r + E1) * r + E0
    mantissa = series * r * r + r + ONE
    return mantissa * _float_of_bits((np.int32(power) + np.int32(127)) << np.int32(23))


@njit(inline="always")
def _log_1_plus(t):  # type: ignore[no-untyped-def]
    """ln(1 + t) for t in [0, 1]."""
    s = t / (TWO + t)
    q = s * s
    return s * ((((((L6 * q + L5) * q + L4) * q + L3) * q + L2) * q + L1) * q + TWO)


@njit(fastmath={"contract"}, error_model="numpy")
def value_and_slope(x, slope):  # type: ignore[no-untyped-def]
    """x (A, F) becomes ln(1 + e^x) - ln 2, and slope (A, F) the sigmoid of what it was."""
    for a in range(x.shape[0]):
        for f in range(x.shape[1]):
            u = x[a, f]
            t = _exp(-abs(u))
            larger = ONE / (ONE + t)
            x[a, f] = (u if u > ZERO else ZERO) + _log_1_plus(t) - LN2
            slope[a, f] = larger if u >= ZERO else t * larger


@njit(fastmath={"contract"}, error_model="numpy")
def multiply_and_sum(grad, slope, total):  # type: ignore[no-untyped-def]
    """grad (A, F) becomes grad * slope; total (F,) grows by its sum over rows."""
    for a in range(grad.shape[0]):
        for f in range(grad.shape[1]):
            product = grad[a, f] * slope[a, f]
            grad[a, f] = product
            total[f] += product
