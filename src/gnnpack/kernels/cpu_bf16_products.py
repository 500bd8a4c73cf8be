"""Dense products of float32 or of rounded factors, inside compiled loops; import only with numba.

Which of the two is known when numba compiles: a branch on None is taken then. ``room`` is None for
float32; else rounded factors lie there while a product is made.
"""

from __future__ import annotations

import numpy as np
from numba import carray, njit

from gnnpack.kernels.cpu_bf16 import pair_columns, pair_rows
from gnnpack.kernels.cpu_products import add_outer, add_product
from gnnpack.kernels.threads import pointer


@njit
def room_of_factors(num_rows, length, bf16):  # type: ignore[no-untyped-def]
    """Room for products of so many rows; None where ``bf16`` is."""
    if bf16 is None:
        return None
    # Of a lone last row the pairs are as long as of two.
    return np.empty((2, (num_rows + 1) // 2 * length), np.int32)


@njit
def weights_at(address, shape, bf16):  # type: ignore[no-untyped-def]
    """Weights in float32, or as pairs of rows in the first half of theirs."""
    if bf16 is None:
        return carray(pointer(address), shape, np.float32)
    return carray(pointer(address), shape, np.int32)


@njit
def multiply(x, terms, w, out, columns, room):  # type: ignore[no-untyped-def]
    """out[:, :columns] += x[:, :terms] w[:terms, :columns], as `add_product`."""
    if room is None:
        add_product(x, terms, w, out, columns)
    else:
        num_rows, half = len(x), x.shape[1] // 2
        factor = room[0, : num_rows * half].reshape(num_rows, half)
        pair_columns(x, terms, factor)
        add_product(factor, (terms + 1) // 2, w, out, columns)


@njit
def multiply_outer(grad, rows, x, columns, out, room):  # type: ignore[no-untyped-def]
    """out[:rows, :columns] += grad[:, :rows] transposed x[:, :columns], as `add_outer`."""
    if room is None:
        add_outer(grad, rows, x, columns, out)
    else:
        num_pairs, length = (len(x) + 1) // 2, x.shape[1]
        shape = num_pairs, length
        left = room[0, : num_pairs * length].reshape(shape)
        right = room[1, : num_pairs * length].reshape(shape)
        pair_rows(grad, left)
        pair_rows(x, right)
        add_outer(left, rows, right, columns, out)
