"""Products of bfloat16 numbers inside compiled loops; import only where numba is present.

One instruction of AVX-512 BF16 adds two products in each lane: its factors are pairs of bfloat16
numbers that are neighbours in the sum, the first in the lower half of 32 bits. So factors are
rounded, to nearest and ties to even, into arrays of int32. Sums are float32. Numbers below the
smallest normal one count as 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from gnnpack.kernels.simd import element_pointer
from gnnpack.kernels.threads import processor_features

# An instruction's numbers, and its pairs.
NUMBERS, PAIRS = 16, 8
LOWER_HALF = 0xFFFF


def has_instructions() -> bool:
    """Whether numba compiles for a processor that has them."""
    return {"+avx512f", "+avx512bf16"} <= set(processor_features().split(","))


def add_products_of_pairs(builder: Any, x: Any, y: Any, total: Any) -> Any:
    """total (16 float32) + the two products in each lane of x and y (16 int32)."""
    return _call(builder, "dpbf16ps", total.type, total, x, y)


def _call(builder: Any, name: str, kind: Any, *arguments: Any) -> Any:
    # With integers where LLVM from 17 on has its type bfloat: it still reads the older form.
    function_type = ir.FunctionType(kind, [argument.type for argument in arguments])
    function = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
        builder.module, function_type, f"llvm.x86.avx512bf16.{name}.512"
    )
    return builder.call(function, arguments)


def _load(context: Any, builder: Any, array_type: Any, array: Any, place: Any) -> Any:
    kind = ir.VectorType(ir.FloatType(), NUMBERS)
    address = element_pointer(context, builder, array_type, array, place)
    loaded = builder.load(builder.bitcast(address, kind.as_pointer()))
    loaded.align = 4
    return loaded


def _store(context: Any, builder: Any, value: Any, array_type: Any, array: Any, place: Any) -> Any:
    address = element_pointer(context, builder, array_type, array, place)
    stored = builder.store(value, builder.bitcast(address, value.type.as_pointer()))
    stored.align = 4
    return context.get_dummy_value()


@intrinsic
def _round_columns(typing_context, x, at, out, place):  # type: ignore[no-untyped-def]
    """16 numbers from ``at`` on, to 8 pairs of neighbours."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        numbers = _load(context, builder, signature.args[0], *arguments[:2])
        halves = ir.VectorType(ir.IntType(16), NUMBERS)
        rounded = _call(builder, "cvtneps2bf16", halves, numbers)
        pairs = builder.bitcast(rounded, ir.VectorType(ir.IntType(32), PAIRS))
        return _store(context, builder, pairs, signature.args[2], *arguments[2:])

    return types.void(x, types.intp, out, types.intp), generate


@intrinsic
def _round_rows(typing_context, x, at, below, out, place):  # type: ignore[no-untyped-def]
    """16 numbers from ``at`` on and as many from ``below`` on, to 16 pairs of one of each."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        x, at, below, out, place = arguments
        first, second = (_load(context, builder, signature.args[0], x, p) for p in (at, below))
        halves = ir.VectorType(ir.IntType(16), 2 * NUMBERS)
        # The instruction puts its second argument first.
        rounded = _call(builder, "cvtne2ps2bf16", halves, second, first)
        order = [place for n in range(NUMBERS) for place in (n, NUMBERS + n)]
        mask = ir.Constant(ir.VectorType(ir.IntType(32), 2 * NUMBERS), order)
        mixed = builder.shuffle_vector(rounded, rounded, mask)
        pairs = builder.bitcast(mixed, ir.VectorType(ir.IntType(32), NUMBERS))
        return _store(context, builder, pairs, signature.args[3], out, place)

    return types.void(x, types.intp, types.intp, out, types.intp), generate


@njit
def pair_columns(x, columns, out):  # type: ignore[no-untyped-def]
    """x (A, S) float32 to out (A, S / 2) int32: pairs (2 c, 2 c + 1) of columns.

    S is a multiple of 16. An odd last column's pair has 0; what is behind it is no part of a sum.
    """
    length = x.shape[1]
    for a in range(len(x)):
        for c in range(0, columns, NUMBERS):
            _round_columns(x, a * length + c, out, (a * length + c) // 2)
        if columns % 2:
            out[a, columns // 2] &= LOWER_HALF


@njit
def pair_rows(x, out):  # type: ignore[no-untyped-def]
    """x (A, S) float32 to rows of out (A / 2 rounded up, S) int32: pairs of rows (2 a, 2 a + 1).

    S is a multiple of 16. An odd last row's pairs have 0. ``out`` may lie where ``x`` does: a row
    is written when all that it lies on has been read.
    """
    length = x.shape[1]
    for a in range(0, len(x), 2):
        lone = a + 1 == len(x)
        for c in range(0, length, NUMBERS):
            at = a * length + c
            _round_rows(x, at, at if lone else at + length, out, a // 2 * length + c)
        if lone:
            for c in range(length):
                out[a // 2, c] &= LOWER_HALF


@njit
def pair_rows_in_place(x):  # type: ignore[no-untyped-def]
    """Pairs of rows of x (A, S) float32, in int32 where its first half was."""
    pair_rows(x, x.view(np.int32))
