"""Matrix products inside compiled loops; import only where numba is present.

For a few hundred rows that lie in a core's cache anyway, and layers of some hundred channels: the
result is made in tiles that stay in registers (Goto and van de Geijn 2008, doi
10.1145/1356052.1356053, without the packing that larger matrices need).
Factors are float32, or both are pairs of bfloat16 numbers as `cpu_bf16` makes them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from gnnpack.kernels.cpu_bf16 import add_products_of_pairs
from gnnpack.kernels.simd import Vector, element_pointer, fused_multiply_add, spread_value
from gnnpack.kernels.threads import (
    ARGUMENTS,
    TASKS,
    compile_entry,
    next_task,
    pointer,
    processor_features,
    run,
)

_WIDE = "+avx512f" in processor_features().split(",")
WIDTH = 16 if _WIDE else 8
"""Numbers of a vector."""
# Rows and most vectors of a tile: 24 sums in 32 registers, or 12 in 16.
TILE_ROWS, TILE_VECTORS = 6, 4 if _WIDE else 2

TASKS_OF_A_PRODUCT = 16


def whole_vectors(columns: int) -> int:
    """The least length of a row of so many columns that is a multiple of `WIDTH`."""
    return -(-columns // WIDTH) * WIDTH


def _tile(num_rows: int, num_vectors: int) -> Any:
    """add(x, at, row, step, w, w_at, w_row, terms, out, out_at, out_row) for one size of tile.

    out[r, c] += sum over k < terms of x[r, k] * w[k, c] for num_rows rows and num_vectors * WIDTH
    columns. ``at`` is the first number's place in an array, ``row`` and ``step`` from one row and
    one k to the next; columns of ``w`` and ``out`` lie together. Nothing checks an array's end.
    ``x`` and ``w`` of int32 hold pairs of bfloat16 numbers, and a k is a pair.
    """

    @intrinsic
    def add(typing_context, x, at, row, step, w, w_at, w_row, terms, out, out_at, out_row):  # type: ignore[no-untyped-def]
        index = types.intp
        signature = types.void(x, index, index, index, w, index, index, index, out, index, index)
        vector, factors = Vector(out.dtype, WIDTH), Vector(x.dtype, WIDTH)
        multiply_add = add_products_of_pairs if x.dtype == types.int32 else fused_multiply_add

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            x, at, row, step, w, w_at, w_row, terms, out, out_at, out_row = arguments
            kind, of_factors = context.get_data_type(vector), context.get_data_type(factors)
            places = [(r, v) for r in range(num_rows) for v in range(num_vectors)]
            sums = {place: cgutils.alloca_once(builder, kind) for place in places}

            def constant(number: int) -> Any:
                return context.get_constant(index, number)

            def at_row(base: Any, distance: Any, number: int) -> Any:
                return builder.add(base, builder.mul(distance, constant(number)))

            def address_of(array: Any, position: int, place: Any, kind: Any) -> Any:
                place = element_pointer(context, builder, signature.args[position], array, place)
                return builder.bitcast(place, kind.as_pointer())

            def load(place: Any) -> Any:
                loaded = builder.load(place)
                loaded.align = vector.dtype.bitwidth // 8
                return loaded

            for place in places:
                builder.store(ir.Constant(kind, None), sums[place])
            with cgutils.for_range(builder, terms) as loop:
                k = loop.index
                start = builder.add(w_at, builder.mul(k, w_row))
                columns = [
                    load(address_of(w, 4, builder.add(start, constant(v * WIDTH)), of_factors))
                    for v in range(num_vectors)
                ]
                term = builder.add(at, builder.mul(k, step))
                for r in range(num_rows):
                    number = load(address_of(x, 0, at_row(term, row, r), of_factors.element))
                    factor = spread_value(builder, number, of_factors)
                    for v in range(num_vectors):
                        total = builder.load(sums[r, v])
                        total = multiply_add(builder, factor, columns[v], total)
                        builder.store(total, sums[r, v])
            for r, v in places:
                place = builder.add(at_row(out_at, out_row, r), constant(v * WIDTH))
                target = address_of(out, 8, place, kind)
                stored = builder.store(builder.fadd(load(target), builder.load(sums[r, v])), target)
                stored.align = vector.dtype.bitwidth // 8
            return context.get_dummy_value()

        return signature, generate

    return add


def _strip(num_rows: int) -> Any:
    """A tile's rows of a product, over all its columns."""
    sizes = TILE_VECTORS, min(3, TILE_VECTORS), 2, 1
    widest, three, two, one = (_tile(num_rows, v) for v in sizes)

    @njit
    def strip(x, at, row, step, w, terms, out, out_row, num_vectors):  # type: ignore[no-untyped-def]
        length = out.shape[1]
        v = 0
        while v < num_vectors:
            left, column = num_vectors - v, v * WIDTH
            place = out_row * length + column
            if left >= TILE_VECTORS:
                widest(x, at, row, step, w, column, w.shape[1], terms, out, place, length)
                v += TILE_VECTORS
            elif left == 3:
                three(x, at, row, step, w, column, w.shape[1], terms, out, place, length)
                v += 3
            elif left == 2:
                two(x, at, row, step, w, column, w.shape[1], terms, out, place, length)
                v += 2
            else:
                one(x, at, row, step, w, column, w.shape[1], terms, out, place, length)
                v += 1

    return strip


_tall, _pair, _single = _strip(TILE_ROWS), _strip(2), _strip(1)


@njit
def _add(x, row, step, w, terms, out, num_rows, columns):  # type: ignore[no-untyped-def]
    num_vectors = (columns + WIDTH - 1) // WIDTH
    r = 0
    while r < num_rows:
        left = num_rows - r
        if left >= TILE_ROWS:
            _tall(x, r * row, row, step, w, terms, out, r, num_vectors)
            r += TILE_ROWS
        elif left >= 2:
            _pair(x, r * row, row, step, w, terms, out, r, num_vectors)
            r += 2
        else:
            _single(x, r * row, row, step, w, terms, out, r, num_vectors)
            r += 1


@njit
def add_product(x, terms, w, out, columns):  # type: ignore[no-untyped-def]
    """out[:, :columns] += x[:, :terms] w[:terms, :columns]; pairs count as one term.

    Rows of w and out have one length, a multiple of `WIDTH`; so many columns are written that
    vectors are whole.
    """
    _add(x, x.shape[1], 1, w, terms, out, len(out), columns)


@njit
def add_outer(grad, rows, x, columns, out):  # type: ignore[no-untyped-def]
    """out[:rows, :columns] += grad[:, :rows] transposed x[:, :columns]; lengths as above."""
    _add(grad, 1, grad.shape[1], x, len(grad), out, rows, columns)


def _product_entry(data):  # type: ignore[no-untyped-def]
    numbers = carray(data, 16, np.int64)
    A, S, terms, columns = numbers[ARGUMENTS : ARGUMENTS + 4]
    x = carray(pointer(numbers[ARGUMENTS + 4]), (A, S), np.float32)
    w = carray(pointer(numbers[ARGUMENTS + 5]), (terms, S), np.float32)
    out = carray(pointer(numbers[ARGUMENTS + 6]), (A, S), np.float32)
    while True:
        task = next_task(data)
        if task >= numbers[TASKS]:
            break
        start, stop = A * task // numbers[TASKS], A * (task + 1) // numbers[TASKS]
        out[start:stop] = 0
        add_product(x[start:stop], terms, w, out[start:stop], columns)


def product(x: Tensor, w: Tensor, out: Tensor, columns: int) -> Tensor:
    """out[:, :columns] = x[:, :I] w[:, :columns] on torch's threads; returns ``out``.

    Args:
        x: (A, S) float32, S a multiple of `WIDTH`.
        w: (I, S).
        out: (A, S).
    """
    (A, S), addresses = x.shape, [tensor.data_ptr() for tensor in (x, w, out)]
    assert S % WIDTH == 0, "rows are whole vectors"
    assert w.shape[1] == S and out.shape == x.shape, "rows have one length"  # noqa: PT018
    assert all(t.is_contiguous() for t in (x, w, out)), "the loops count from a row's start"
    run(compile_entry(_product_entry), TASKS_OF_A_PRODUCT, A, S, len(w), columns, *addresses)
    return out
