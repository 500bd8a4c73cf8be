"""Filter networks evaluated at the knots of a grid: tables, from weights."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from gnnpack.kernels.compiled import serves
from gnnpack.kernels.softplus import shifted_softplus

# M knots of K rows, G Gaussians, C channels, L networks


class Knots(NamedTuple):
    """What of a filter does not depend on its weights."""

    basis: Tensor  # (K M, G): values and, for cubic tables, slopes per spacing of the knots
    envelope: Tensor  # (M, 1)
    envelope_slope: Tensor  # (M, 1), per spacing of the knots


class FilterNetwork(NamedTuple):
    """Two dense layers with a shifted softplus between them."""

    weight_1: Tensor  # (C, G)
    bias_1: Tensor  # (C,)
    weight_2: Tensor  # (C, C)
    bias_2: Tensor  # (C,)


def filter_tables(
    knots: Knots, networks: Sequence[FilterNetwork], *, compiled: bool = True
) -> Tensor:
    """Tables (L, M, K, C), the cutoff function included: see `gnnpack.kernels.filter_table`.

    Args:
        networks: one or more.
        compiled: compiled loops where they serve (float32 on a CPU with numba); False is the
            plain-torch reference.
    """
    parameters = [p for network in networks for p in network]
    if compiled and serves(*knots, *parameters):
        tables: Tensor = _Compiled.apply(knots, *parameters)  # type: ignore[no-untyped-call]
        return tables
    return _tables(knots, networks)


def _tables(knots: Knots, networks: Sequence[FilterNetwork]) -> Tensor:
    """Reference: all networks as one batched product."""
    num_knots = len(knots.envelope)
    # The first layers of all networks are one product: they have the same input.
    weight_1 = torch.cat([network.weight_1 for network in networks])  # (L C, G)
    bias_1 = torch.stack([network.bias_1 for network in networks])[:, None]
    bias_2 = torch.stack([network.bias_2 for network in networks])[:, None]
    weight_2 = torch.stack([network.weight_2 for network in networks]).transpose(1, 2)
    first = F.linear(knots.basis, weight_1)  # of values, then of slopes: (K M, L C)
    first = first.view(len(knots.basis), len(networks), -1).transpose(0, 1)
    inner = first[:, :num_knots] + bias_1
    second = shifted_softplus(inner)
    if len(knots.basis) == num_knots:
        return ((torch.matmul(second, weight_2) + bias_2) * knots.envelope)[:, :, None]
    # The slope by the chain rule; that of the shifted softplus is the sigmoid.
    inner_slope = torch.sigmoid(inner) * first[:, num_knots:]
    second = torch.matmul(torch.cat([second, inner_slope], 1), weight_2)
    value = second[:, :num_knots] + bias_2
    slope = second[:, num_knots:] * knots.envelope + value * knots.envelope_slope
    return torch.stack([value * knots.envelope, slope], 2)


class _Compiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, knots: Knots, *parameters: Tensor) -> Tensor:
        from gnnpack.kernels import cpu_filter_networks, cpu_products, threads

        (X, G), M, C = knots.basis.shape, len(knots.envelope), len(parameters[1])
        num_networks = len(parameters) // len(FilterNetwork._fields)
        length = cpu_products.whole_vectors(C)
        ctx.sizes = num_networks, M, X // M, G, C, length, 3 * X + M + G + 2 * C
        ctx.shapes = [p.shape for p in parameters]
        held = [p.contiguous() for p in parameters]
        kept = held[0].new_empty(num_networks, ctx.sizes[-1], length)
        tables = held[0].new_empty(num_networks, M, X // M, C)
        ctx.save_for_backward(*(knot.contiguous() for knot in knots), kept)
        places = _addresses(held)
        numbers = _numbers(ctx.sizes, ctx.to_save, places, tables)
        entry = threads.compile_entry(cpu_filter_networks.forward_entry)
        threads.run(entry, num_networks, *numbers)
        return tables

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        from gnnpack.kernels import cpu_filter_networks, threads

        num_networks, M, K, G, C, length, _ = ctx.sizes
        grad = grad.contiguous()
        room = grad.new_empty(num_networks, 2 * M * K + max(G, C), length)
        lengths = [shape.numel() for shape in ctx.shapes]
        gradients = torch.split(grad.new_empty(sum(lengths)), lengths)
        places = _addresses(gradients)
        numbers = _numbers(ctx.sizes, ctx.saved_tensors, places, grad)
        entry = threads.compile_entry(cpu_filter_networks.backward_entry)
        threads.run(entry, num_networks, *numbers, room.data_ptr())
        needed = zip(gradients, ctx.shapes, ctx.needs_input_grad[1:])
        return (None, *(g.view(shape) if need else None for g, shape, need in needed))


def _addresses(tensors: Sequence[Tensor]) -> np.ndarray[Any, Any]:
    return np.array([tensor.data_ptr() for tensor in tensors], dtype=np.int64)


def _numbers(
    sizes: Sequence[int],
    saved: Sequence[Tensor],
    places: np.ndarray[Any, Any],
    tables: Tensor,
) -> list[int]:
    """Sizes and addresses, in the order of `cpu_filter_networks._arrays`."""
    *knots, kept = (tensor.data_ptr() for tensor in saved)
    return [*sizes, *knots, places.ctypes.data, kept, tables.data_ptr()]
