"""SchNet's blocks over packs, forward and backward, as compiled loops; import only with numba.

A pack's atoms meet no other pack's, so a task takes a run of packs through the whole network while
their features lie in its core's cache. In the backward pass each task sums gradients of all
parameters apart. The number of tasks follows from the batch's shape, so results do not depend on
the number of threads.

`gnnpack.kernels.network` lays parameters and features out, in rows of one length; no sum reads
their ends. With ``bf16``, which is None for float32, dense products are of rounded factors.
A atom slots, F channels of the atoms, C of the convolution, H of the output layer, L blocks.
"""

from __future__ import annotations

import numpy as np
from numba import carray, njit

from gnnpack.kernels.cpu_bf16_products import (
    multiply,
    multiply_outer,
    room_of_factors,
    weights_at,
)
from gnnpack.kernels.cpu_pair_loops import over_channels
from gnnpack.kernels.cpu_products import WIDTH
from gnnpack.kernels.cpu_softplus import multiply_and_sum, value_and_slope
from gnnpack.kernels.threads import ARGUMENTS, TASKS, next_task, pointer

_convolve, _convolve_back = over_channels(4 * WIDTH, 2 * WIDTH, WIDTH)

# The order of parameters: two of the elements, those of each block, those of the output.
OF_ELEMENTS, OF_A_BLOCK, OF_OUTPUT = 2, 6, 3
TABLE, WEIGHT_1, BIAS_1, WEIGHT_2, BIAS_2, NEXT = range(OF_A_BLOCK)
OUTPUT_BIAS, OUTPUT_WEIGHT, LAST_BIAS = range(OF_OUTPUT)

# What a block of a hundred channels reads and writes for so many fits a second cache of a megabyte.
ATOMS_AT_A_TIME = 108


@njit
def _part(rows, of_parameter, block, which):  # type: ignore[no-untyped-def]
    """The rows of one parameter, of a block or, with ``block`` L, of the output."""
    number = OF_ELEMENTS + block * OF_A_BLOCK + which
    return rows[of_parameter[number] : of_parameter[number + 1]]


@njit
def _turned(turned, sizes, block, which):  # type: ignore[no-untyped-def]
    """A block's dense layer transposed: 0 and 1 behind the convolution, 2 the next one's first."""
    F, C = sizes[0], sizes[1]
    start = block * (C + 2 * F)
    if which == 0:
        return turned[start : start + C]
    return turned[start + C + (which - 1) * F : start + C + which * F]


@njit
def _fill(out, row):  # type: ignore[no-untyped-def]
    for a in range(out.shape[0]):
        for f in range(out.shape[1]):
            out[a, f] = row[f]


@njit
def _add_row(out, x, row):  # type: ignore[no-untyped-def]
    for a in range(out.shape[0]):
        for f in range(out.shape[1]):
            out[a, f] = x[a, f] + row[f]


@njit
def _add_rows_to(total, x):  # type: ignore[no-untyped-def]
    for a in range(x.shape[0]):
        for f in range(x.shape[1]):
            total[f] += x[a, f]


@njit(fastmath={"contract", "reassoc"})
def _dot(x, y):  # type: ignore[no-untyped-def]
    total = x[0] * y[0]
    for f in range(1, len(x)):
        total += x[f] * y[f]
    return total


@njit
def _forward(cubic, room, task, z, stencil, parameters, turned, sizes, kept, values):  # type: ignore[no-untyped-def]
    """Values of the atoms of a task, and all that the backward pass reads."""
    start, stop, first_pair, last_pair = task
    rows, of_parameter = parameters
    F, C, H, L = sizes
    features, ahead, messages, inner, slope = kept
    elements, firsts = rows[: of_parameter[1]], rows[of_parameter[1] : of_parameter[2]]
    for a in range(start, stop):
        features[0, a], ahead[0, a] = elements[z[a]], firsts[z[a]]
    for block in range(L):
        table = _part(rows, of_parameter, block, TABLE)
        messages[block, start:stop] = 0
        pairs = first_pair, last_pair, C
        _convolve(ahead[block], table, stencil, cubic, *pairs, messages[block])
        hidden = inner[block, start:stop]
        _fill(hidden, _part(rows, of_parameter, block, BIAS_1)[0])
        weight = _turned(turned, sizes, block, 0)
        multiply(messages[block, start:stop], C, weight, hidden, F, room)
        value_and_slope(hidden, slope[block, start:stop])
        out = features[block + 1, start:stop]
        _add_row(out, features[block, start:stop], _part(rows, of_parameter, block, BIAS_2)[0])
        multiply(hidden, F, _turned(turned, sizes, block, 1), out, F, room)
        behind = ahead[block + 1, start:stop]
        last = block == L - 1
        if last:
            _fill(behind, _part(rows, of_parameter, L, OUTPUT_BIAS)[0])
        else:
            behind[:] = 0
        multiply(out, F, _turned(turned, sizes, block, 2), behind, H if last else C, room)
    behind = ahead[L, start:stop]
    value_and_slope(behind, slope[L, start:stop])
    weight, bias = (
        _part(rows, of_parameter, L, OUTPUT_WEIGHT)[0],
        _part(rows, of_parameter, L, LAST_BIAS)[0, 0],
    )
    for a in range(start, stop):
        values[a] = _dot(ahead[L, a, :H], weight[:H]) + bias


@njit
def _output_backward(task, grad_values, parameters, sums, sizes, kept, grad_ahead):  # type: ignore[no-untyped-def]
    start, stop = task[0], task[1]
    rows, of_parameter = parameters
    H, L = sizes[2], sizes[3]
    ahead, slope = kept[1], kept[4]
    weight = _part(rows, of_parameter, L, OUTPUT_WEIGHT)[0]
    of_bias = _part(sums, of_parameter, L, OUTPUT_BIAS)[0]
    of_weight = _part(sums, of_parameter, L, OUTPUT_WEIGHT)[0]
    of_value = _part(sums, of_parameter, L, LAST_BIAS)[0]
    for a in range(start, stop):
        grad = grad_values[a]
        of_value[0] += grad
        for h in range(H):
            of_weight[h] += grad * ahead[L, a, h]
            grad_ahead[a, h] = grad * weight[h] * slope[L, a, h]
            of_bias[h] += grad_ahead[a, h]


@njit
def _backward(  # type: ignore[no-untyped-def]
    cubic, room, task, z, stencil, parameters, weights, sums, sizes, kept, grad_values, gradients
):
    """Add the gradients of all parameters to ``sums``."""
    start, stop, first_pair, last_pair = task
    rows, of_parameter = parameters
    F, C, H, L = sizes
    features, ahead, messages, inner, slope = kept
    grad_features, grad_inner, grad_messages, grad_ahead = gradients
    grad = grad_features[start:stop]
    above, of_inner = grad_ahead[start:stop], grad_inner[start:stop]
    of_messages = grad_messages[start:stop]
    _output_backward(task, grad_values, parameters, sums, sizes, kept, grad_ahead)
    grad[:] = 0
    outputs = H
    for block in range(L - 1, -1, -1):
        multiply(above, outputs, _part(weights, of_parameter, block, NEXT), grad, F, room)
        out = features[block + 1, start:stop]
        multiply_outer(above, outputs, out, F, _part(sums, of_parameter, block, NEXT), room)
        hidden = inner[block, start:stop]
        multiply_outer(grad, F, hidden, F, _part(sums, of_parameter, block, WEIGHT_2), room)
        _add_rows_to(_part(sums, of_parameter, block, BIAS_2)[0], grad)
        of_inner[:] = 0
        multiply(grad, F, _part(weights, of_parameter, block, WEIGHT_2), of_inner, F, room)
        multiply_and_sum(
            of_inner, slope[block, start:stop], _part(sums, of_parameter, block, BIAS_1)[0]
        )
        message = messages[block, start:stop]
        multiply_outer(of_inner, F, message, C, _part(sums, of_parameter, block, WEIGHT_1), room)
        of_messages[:] = 0
        multiply(of_inner, F, _part(weights, of_parameter, block, WEIGHT_1), of_messages, C, room)
        above[:] = 0
        table = _part(rows, of_parameter, block, TABLE)
        of_table = _part(sums, of_parameter, block, TABLE)
        pairs = first_pair, last_pair, C
        of_pairs = grad_messages, grad_ahead, of_table
        _convolve_back(ahead[block], table, stencil, cubic, *pairs, *of_pairs)
        outputs = C
    elements, firsts = sums[: of_parameter[1]], sums[of_parameter[1] : of_parameter[2]]
    for a in range(start, stop):
        _add_rows_to(elements[z[a]], grad_features[a : a + 1])
        _add_rows_to(firsts[z[a]], grad_ahead[a : a + 1])


@njit
def _arrays(numbers, bf16):  # type: ignore[no-untyped-def]
    """What both passes read; the order is that of `network._numbers`."""
    P, N, E, S = numbers[0], numbers[1], numbers[2], numbers[3]
    F, C, H, L, K = numbers[4], numbers[5], numbers[6], numbers[7], numbers[8]
    A, parameters = P * N, OF_ELEMENTS + L * OF_A_BLOCK + OF_OUTPUT
    of_parameter = carray(pointer(numbers[9]), parameters + 1, np.int64)
    rows = carray(pointer(numbers[10]), (of_parameter[parameters], S), np.float32)
    stencil = (
        carray(pointer(numbers[13]), E, np.int32),
        carray(pointer(numbers[14]), E, np.int32),
        carray(pointer(numbers[16]), E, np.int32),
        carray(pointer(numbers[17]), (E, 2 * K), np.float32),
    )
    kept = carray(pointer(numbers[18]), (5 * L + 3, A, S), np.float32)
    return (
        (F, C, H, L),
        (rows, of_parameter),
        (
            weights_at(numbers[10], rows.shape, bf16),
            weights_at(numbers[11], (L * (C + 2 * F), S), bf16),
        ),
        carray(pointer(numbers[12]), A, np.int64),
        stencil,
        carray(pointer(numbers[15]), P + 1, np.int64),
        (
            kept[: L + 1],
            kept[L + 1 : 2 * L + 2],
            kept[2 * L + 2 : 3 * L + 2],
            kept[3 * L + 2 : 4 * L + 2],
            kept[4 * L + 2 :],
        ),
        carray(pointer(numbers[19]), A, np.float32),
    )


@njit
def _packs_at_a_time(num_slots):  # type: ignore[no-untyped-def]
    return max(1, ATOMS_AT_A_TIME // num_slots)


@njit
def _spans(number, num_tasks, num_packs, num_slots):  # type: ignore[no-untyped-def]
    """First and last pack of a task, and how many packs of it go through the network at a time."""
    start, stop = num_packs * number // num_tasks, num_packs * (number + 1) // num_tasks
    return start, stop, _packs_at_a_time(num_slots)


@njit(error_model="numpy")
def _forward_tasks(data, cubic, bf16):  # type: ignore[no-untyped-def]
    numbers = carray(data, 32, np.int64)
    arguments, num_tasks = numbers[ARGUMENTS:], numbers[TASKS]
    P, N = arguments[0], arguments[1]
    sizes, parameters, weights, z, stencil, offsets, kept, values = _arrays(arguments, bf16)
    room = room_of_factors(_packs_at_a_time(N) * N, parameters[0].shape[1], bf16)
    while True:
        number = next_task(data)
        if number >= num_tasks:
            break
        start, stop, step = _spans(number, num_tasks, P, N)
        for pack in range(start, stop, step):
            end = min(stop, pack + step)
            span = pack * N, end * N, offsets[pack], offsets[end]
            _forward(cubic, room, span, z, stencil, parameters, weights[1], sizes, kept, values)


@njit(error_model="numpy")
def _backward_tasks(data, cubic, bf16):  # type: ignore[no-untyped-def]
    numbers = carray(data, 32, np.int64)
    arguments, num_tasks = numbers[ARGUMENTS:], numbers[TASKS]
    P, N = arguments[0], arguments[1]
    sizes, parameters, weights, z, stencil, offsets, kept, grad_values = _arrays(arguments, bf16)
    rows = parameters[0]
    sums = carray(pointer(arguments[20]), (num_tasks, rows.shape[0], rows.shape[1]), np.float32)
    shape = 4, len(z), rows.shape[1]
    of_atoms = carray(pointer(arguments[21]), shape, np.float32)
    gradients = of_atoms[0], of_atoms[1], of_atoms[2], of_atoms[3]
    room = room_of_factors(_packs_at_a_time(N) * N, rows.shape[1], bf16)
    while True:
        number = next_task(data)
        if number >= num_tasks:
            break
        sums[number] = 0
        start, stop, step = _spans(number, num_tasks, P, N)
        for pack in range(start, stop, step):
            end = min(stop, pack + step)
            span = pack * N, end * N, offsets[pack], offsets[end]
            places = span, z, stencil, parameters, weights[0], sums[number], sizes
            _backward(cubic, room, *places, kept, grad_values, gradients)


def _linear_forward(data):  # type: ignore[no-untyped-def]
    _forward_tasks(data, None, None)


def _linear_backward(data):  # type: ignore[no-untyped-def]
    _backward_tasks(data, None, None)


def _cubic_forward(data):  # type: ignore[no-untyped-def]
    _forward_tasks(data, True, None)


def _cubic_backward(data):  # type: ignore[no-untyped-def]
    _backward_tasks(data, True, None)


def _linear_forward_bf16(data):  # type: ignore[no-untyped-def]
    _forward_tasks(data, None, True)


def _linear_backward_bf16(data):  # type: ignore[no-untyped-def]
    _backward_tasks(data, None, True)


def _cubic_forward_bf16(data):  # type: ignore[no-untyped-def]
    _forward_tasks(data, True, True)


def _cubic_backward_bf16(data):  # type: ignore[no-untyped-def]
    _backward_tasks(data, True, True)


FORWARD = {
    (1, False): _linear_forward,
    (2, False): _cubic_forward,
    (1, True): _linear_forward_bf16,
    (2, True): _cubic_forward_bf16,
}
"""By rows a knot, and whether factors are rounded to bfloat16; compiled when first needed."""
BACKWARD = {
    (1, False): _linear_backward,
    (2, False): _cubic_backward,
    (1, True): _linear_backward_bf16,
    (2, True): _cubic_backward_bf16,
}
