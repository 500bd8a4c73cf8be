"""SchNet's blocks with tabulated filters as one function, with a backward pass of its own."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from gnnpack.kernels.compiled import has_bf16, serves
from gnnpack.kernels.cpu_bf16_reference import rounded_linear
from gnnpack.kernels.filter_table import Stencil
from gnnpack.kernels.softplus import shifted_softplus
from gnnpack.kernels.tabulated import tabulated_convolution

# P packs of N slots, A = P * N; F channels of atoms, C of the convolution, H of the output layer

MOST_TASKS, ATOMS_OF_A_TASK = 16, 128
"""Tasks of a pass: at most so many threads share it, each task of about so many atom slots."""

TASKS_OF_A_SUM = 32
MOST_SUM_BYTES = 1 << 26
"""Of gradients that tasks sum apart: wide layers have fewer tasks."""


class Block(NamedTuple):
    """Parameters of a block: its table, two layers, and the first layer of what follows."""

    table: Tensor  # (M, K, C)
    weight_1: Tensor  # (F, C)
    bias_1: Tensor  # (F,)
    weight_2: Tensor  # (F, F)
    bias_2: Tensor  # (F,)
    next_weight: Tensor  # (C, F), without bias; of the last block (H, F)


class Output(NamedTuple):
    """Parameters of the output but its first layer's weight, which the last block has."""

    bias: Tensor  # (H,)
    weight: Tensor  # (1, H)
    last_bias: Tensor  # (1,)


def atom_values(
    z: Tensor,
    stencil: Stencil,
    elements: Tensor,
    first: Tensor,
    blocks: Sequence[Block],
    output: Output,
    *,
    compiled: bool = True,
    bf16: bool = False,
) -> Tensor:
    """Values of the atoms, (A, 1): blocks from convolution to convolution, and the output.

    The compiled function keeps 5 L + 3 features an atom slot while it runs, gradients or not.

    Args:
        z: (A,) int64, rows of ``elements``; packs of one length one after another.
        stencil: pairs of the atoms, by pack.
        elements: (Z, F), features before the first block.
        first: (Z, C), the first block's first layer applied to them.
        blocks: one or more.
        compiled: one compiled function where it serves (float32 on a CPU with numba, no gradient
            in the distances); False is the plain-torch reference.
        bf16: products over the atoms' channels, in both passes, are of factors rounded to bfloat16,
            but the last layer's, which has one output; all sums and the rest are float32. Compiled
            for processors with AVX-512 BF16 alone.
    """
    parameters = [elements, first, *(t for block in blocks for t in block), *output]
    distances_move = torch.is_grad_enabled() and stencil.weights.requires_grad
    # Without atoms there are no packs to share out.
    takes = compiled and len(z) > 0 and not distances_move
    if takes and serves(stencil.weights, *parameters):
        values: Tensor = _Compiled.apply(z, stencil, len(blocks), bf16, *parameters)  # type: ignore[no-untyped-call]
        return values
    linear = rounded_linear if bf16 else F.linear
    features, ahead = F.embedding(z, elements), F.embedding(z, first)
    for table, weight_1, bias_1, weight_2, bias_2, next_weight in blocks:
        messages = tabulated_convolution(ahead, table, stencil, compiled=compiled)
        inner = shifted_softplus(linear(messages, weight_1, bias_1))
        features = features + linear(inner, weight_2, bias_2)
        ahead = linear(features, next_weight)
    return F.linear(shifted_softplus(ahead + output.bias), output.weight, output.last_bias)


class _Layout(NamedTuple):
    """Where parameters lie, as matrices below one another in rows of one length."""

    length: int  # of a row, a multiple of the width of the processor's vectors
    first_row: np.ndarray[Any, Any]  # (n + 1,) int64
    first_turned: np.ndarray[Any, Any]  # (n,) int64 among transposed matrices, -1 = not transposed
    columns: np.ndarray[Any, Any]  # (n,) int64
    turned_rows: int
    sizes: tuple[int, ...]  # F, C, H, L, K

    @property
    def rows_per_knot(self) -> int:
        return self.sizes[-1]

    @property
    def addresses(self) -> tuple[int, int, int]:
        """Of first_row, first_turned, columns."""
        return self.first_row.ctypes.data, self.first_turned.ctypes.data, self.columns.ctypes.data


@lru_cache(maxsize=32)
def _layout(shapes: tuple[tuple[int, ...], ...], num_blocks: int) -> _Layout:
    from gnnpack.kernels.cpu_products import whole_vectors

    (_, F), (_, C), H = shapes[0], shapes[1], shapes[-3][0]
    _check(shapes, num_blocks)
    matrices = [(int(np.prod(shape[:-1])), shape[-1]) for shape in shapes]
    rows, columns = np.array(matrices, dtype=np.int64).T.copy()
    turned, turned_rows = np.full(len(shapes), -1, dtype=np.int64), 0
    for number in range(2, len(shapes) - 3):
        if (number - 2) % len(Block._fields) in (1, 3, 5):
            turned[number] = turned_rows
            turned_rows += int(columns[number])
    first_row = np.concatenate([[0], rows.cumsum()])
    length = whole_vectors(max(F, C, H))
    sizes = F, C, H, num_blocks, shapes[2][1]
    return _Layout(length, first_row, turned, columns, turned_rows, sizes)


def _check(shapes: tuple[tuple[int, ...], ...], num_blocks: int) -> None:
    """The loops read parameters without looking at their ends."""
    (Z, F), (_, C), (M, K, _), (H,) = *shapes[:3], shapes[-3]
    expected: list[tuple[int, ...]] = [(Z, F), (Z, C)]
    for block in range(num_blocks):
        behind = H if block == num_blocks - 1 else C
        expected += [(M, K, C), (F, C), (F,), (F, F), (F,), (behind, F)]
    expected += [(H,), (1, H), (1,)]
    assert list(shapes) == expected, f"parameters are {shapes}; the loops read {expected}"


def _check_atoms(z: Tensor, stencil: Stencil, parameters: Sequence[Tensor]) -> None:
    first, second, offsets, knots, weights = stencil
    types = [t.dtype for t in (z, offsets, first, second, knots)]
    assert types == [torch.int64] * 2 + [torch.int32] * 3, f"the loops do not read {types}"
    num_packs, rows_per_knot = len(offsets) - 1, parameters[2].shape[1]
    assert num_packs > 0, "atoms lie in packs"
    assert len(z) % num_packs == 0, "packs have one length"
    assert weights.shape[1] == 2 * rows_per_knot, "the stencil is of the table's order"
    least, most = z.aminmax()
    assert least >= 0, "atoms are rows of elements"
    assert most < len(parameters[0]), "atoms are rows of elements"


class _Compiled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, z: Tensor, stencil: Stencil, num_blocks: int, bf16: bool, *parameters: Tensor
    ) -> Tensor:
        from gnnpack.kernels import cpu_network, threads

        assert not bf16 or has_bf16(), "the compiler knows no instruction to multiply bfloat16 by"
        _check_atoms(z, stencil, parameters)
        layout = _layout(tuple(tuple(p.shape) for p in parameters), num_blocks)
        rows, turned = _copy(layout, [p.contiguous() for p in parameters], bf16)
        A, num_packs = len(z), len(stencil.offsets) - 1
        kept = rows.new_empty(5 * num_blocks + 3, A, layout.length)
        values = rows.new_empty(A, 1)
        ctx.layout, ctx.shapes, ctx.bf16 = layout, [p.shape for p in parameters], bf16
        fitting = MOST_SUM_BYTES // (rows.numel() * rows.element_size())
        ctx.num_tasks = max(1, min(MOST_TASKS, A // ATOMS_OF_A_TASK, num_packs, fitting))
        places = [t.contiguous() for t in (z, *stencil)]
        ctx.save_for_backward(rows, turned, *places, kept)
        numbers = _numbers(layout, ctx.to_save)
        entry = threads.compile_entry(cpu_network.FORWARD[layout.rows_per_knot, bf16])
        threads.run(entry, ctx.num_tasks, *numbers, values.data_ptr())
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        from gnnpack.kernels import cpu_network, threads

        saved, grad = ctx.saved_tensors, grad.contiguous()
        rows, kept = saved[0], saved[-1]
        sums = rows.new_empty(ctx.num_tasks, *rows.shape)
        room = kept.new_empty(4, *kept.shape[1:])
        addresses = (t.data_ptr() for t in (grad, sums, room))
        numbers = _numbers(ctx.layout, saved)
        entry = threads.compile_entry(cpu_network.BACKWARD[ctx.layout.rows_per_knot, ctx.bf16])
        threads.run(entry, ctx.num_tasks, *numbers, *addresses)
        gradients = _sum(ctx.layout, sums, ctx.shapes)
        needed = ctx.needs_input_grad[4:]
        given = (g if need else None for g, need in zip(gradients, needed))
        return (None, None, None, None, *given)


def _numbers(layout: _Layout, saved: Sequence[Tensor]) -> list[int]:
    """Sizes and addresses, in the order of `cpu_network._arrays`."""
    _, _, z, first, _, offsets, _, _, _ = saved
    num_packs = len(offsets) - 1
    sizes = [num_packs, len(z) // num_packs, len(first), layout.length, *layout.sizes]
    return [*sizes, layout.first_row.ctypes.data, *(t.data_ptr() for t in saved)]


def _copy(layout: _Layout, parameters: Sequence[Tensor], bf16: bool) -> tuple[Tensor, Tensor]:
    """All parameters in rows, and the dense layers' weights transposed."""
    from gnnpack.kernels import cpu_parameters, threads

    rows = parameters[0].new_empty(int(layout.first_row[-1]), layout.length)
    turned = parameters[0].new_empty(layout.turned_rows, layout.length)
    places = np.array([p.data_ptr() for p in parameters], dtype=np.int64)
    numbers = len(parameters), layout.length, *layout.addresses, places.ctypes.data
    addresses = rows.data_ptr(), turned.data_ptr()
    entry = threads.compile_entry(
        cpu_parameters.copy_entry_bf16 if bf16 else cpu_parameters.copy_entry
    )
    threads.run(entry, len(parameters), *numbers, *addresses)
    return rows, turned


def _sum(layout: _Layout, parts: Tensor, shapes: Sequence[torch.Size]) -> list[Tensor]:
    """Gradients of all parameters, summed over the tasks' parts."""
    from gnnpack.kernels import cpu_parameters, threads

    lengths = [shape.numel() for shape in shapes]
    gradients = torch.split(parts.new_empty(sum(lengths)), lengths)
    places = np.array([g.data_ptr() for g in gradients], dtype=np.int64)
    numbers = len(shapes), layout.length, *layout.addresses, places.ctypes.data
    entry = threads.compile_entry(cpu_parameters.sum_entry)
    threads.run(entry, TASKS_OF_A_SUM, *numbers, parts.data_ptr(), len(parts))
    return [g.view(shape) for g, shape in zip(gradients, shapes)]
