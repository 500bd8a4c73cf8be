"""Vectors of a few numbers for compiled loops, where a compiler does not find them by itself.

A loop that reads and writes several rows of one array is not turned into vector instructions, as
the rows might overlap. These functions say so explicitly: the loop's author knows that they do not.
LLVM splits a vector into what the processor has. Import only where numba is present.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model


class Vector(types.Type):
    """``width`` numbers of ``dtype``."""

    def __init__(self, dtype: Any, width: int) -> None:
        self.dtype, self.width = dtype, width
        super().__init__(name=f"vector({dtype} x {width})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: Vector) -> None:
        number = manager.lookup(vector.dtype).get_data_type()
        kind = ir.VectorType(number, vector.width)
        super().__init__(manager, vector, kind)  # type: ignore[no-untyped-call]


def vector_operations(width: int) -> tuple[Any, Any, Any]:
    """load(array, index), store(array, index, vector) and spread(number) for one width.

    ``index`` counts numbers from the start of a C-contiguous array of any dimension; nothing checks
    it against the array's end.
    """

    @intrinsic
    def load(typing_context, array, index):  # type: ignore[no-untyped-def]
        vector = Vector(array.dtype, width)

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            loaded = builder.load(_pointer(context, builder, array, arguments, vector))
            loaded.align = array.dtype.bitwidth // 8
            return loaded

        return vector(array, types.intp), generate

    @intrinsic
    def store(typing_context, array, index, value):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            stored = builder.store(
                arguments[2], _pointer(context, builder, array, arguments, value)
            )
            stored.align = array.dtype.bitwidth // 8
            return context.get_dummy_value()

        return types.void(array, types.intp, value), generate

    @intrinsic
    def spread(typing_context, number):  # type: ignore[no-untyped-def]
        vector = Vector(number, width)

        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return spread_value(builder, arguments[0], context.get_data_type(vector))

        return vector(number), generate

    return load, store, spread


@intrinsic
def multiply(typing_context, x, y):  # type: ignore[no-untyped-def]
    """x * y."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.fmul(*arguments)

    return x(x, y), generate


@intrinsic
def multiply_add(typing_context, x, y, z):  # type: ignore[no-untyped-def]
    """x * y + z, rounded once."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return fused_multiply_add(builder, *arguments)

    return x(x, x, x), generate


# --- pieces of code generation, for intrinsics of more than one instruction ---


def spread_value(builder: Any, number: Any, kind: Any) -> Any:
    """A vector of LLVM type ``kind`` with ``number`` in every place."""
    empty = ir.Constant(kind, ir.Undefined)
    one = builder.insert_element(empty, number, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
    return builder.shuffle_vector(one, empty, zeros)


def fused_multiply_add(builder: Any, x: Any, y: Any, z: Any) -> Any:
    """x * y + z of vectors, rounded once."""
    bits = 64 if isinstance(x.type.element, ir.DoubleType) else 32
    function_type = ir.FunctionType(x.type, [x.type] * 3)
    name = f"llvm.fma.v{x.type.count}f{bits}"
    function = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
        builder.module, function_type, name
    )
    return builder.call(function, [x, y, z])


def element_pointer(context: Any, builder: Any, array_type: Any, array: Any, place: Any) -> Any:
    """Address of a C-contiguous array's number ``place``, counted from its start."""
    assert array_type.layout == "C", "numbers are counted as if rows lay one after another"
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [place])


def _pointer(context: Any, builder: Any, array: Any, arguments: Any, vector: Vector) -> Any:
    place = element_pointer(context, builder, array, *arguments[:2])
    return builder.bitcast(place, context.get_data_type(vector).as_pointer())
