"""How long each CUDA kernel takes, replayed as a graph, and how near its floor it is."""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple

import torch
from torch import Tensor

from gnnpack.batching import PackBatch
from gnnpack.bench.gpu_checks import kernel_batch, kernel_model
from gnnpack.bench.gpu_clock import DeviceClock, matmul_precision
from gnnpack.bench.gpu_molecules import count_pairs
from gnnpack.bench.gpu_roof import ROOF, percent_of_floor
from gnnpack.bench.gpu_settings import GPUSettings, KernelCase
from gnnpack.bench.work import Network, count_work, table_rows
from gnnpack.kernels.cuda import (
    convolve,
    embed,
    empty_rows,
    molecule_ranges,
    shifted_softplus,
    sum_molecules,
    tail,
)
from gnnpack.models import SchNet


class Kernel(NamedTuple):
    """One thing to time, with what it has to compute and to move."""

    call: Callable[[], Any]
    flop: float = 0.0
    bytes: float = 0.0


def measure_kernels(
    settings: GPUSettings, case: KernelCase, earlier: Mapping[str, Any]
) -> dict[str, Any]:
    """Seconds and percent of floor of every kernel of a training step, on QM9-sized droplets.

    The convolution counts as in `work`: FLOP at the rate of float32 products. Floors of other
    kernels are their bytes, those of the tail its products too.
    """
    batch = kernel_batch(settings, case, settings.sizes.kernel_molecules)
    model = kernel_model(settings, case)
    pairs = count_pairs(batch, model.cutoff)
    clock = DeviceClock(settings.device, settings.repeats)
    roof = earlier.get(ROOF)
    found: dict[str, Any] = {
        "real_atoms": int(batch.atom_mask.sum()),
        "slots": batch.z.numel(),
        "pairs": pairs,
    }
    with matmul_precision("tf32"):
        for name, kernel in _kernels(model, batch, pairs, case).items():
            seconds = clock.replayed(kernel.call)
            precision = "tf32" if name.startswith("tail") else "float32"
            percent = percent_of_floor(
                roof,
                seconds["median"],
                flop=kernel.flop,
                bytes=kernel.bytes,
                precision=precision,
            )
            found[name] = {"seconds": seconds, "percent_of_floor": percent}
    return found


def _kernels(model: SchNet, batch: PackBatch, pairs: int, case: KernelCase) -> dict[str, Kernel]:
    """Each kernel of a training step, on tensors of its own."""
    return {
        **_ranges(model, batch),
        **_convolution(model, batch, pairs, case),
        **_tail(model, batch, case),
        **_elementwise(model, batch),
    }


def _fields(model: SchNet, batch: PackBatch) -> tuple[Any, ...]:
    """What ranges are made of."""
    assert model.grid is not None, "the kernels read filters from tables"
    return (
        batch.pos,
        batch.molecule_slot,
        batch.atom_mask,
        model.grid.cutoff,
        model.grid.num_knots,
    )


def _ranges(model: SchNet, batch: PackBatch) -> dict[str, Kernel]:
    fields, largest = _fields(model, batch), model.largest_molecule
    return {
        "ranges and sorted pairs": Kernel(
            lambda: molecule_ranges(*fields, largest_molecule=largest)
        ),
        "ranges": Kernel(lambda: molecule_ranges(*fields, sort_pairs=False)),
    }


def _convolution(
    model: SchNet, batch: PackBatch, pairs: int, case: KernelCase
) -> dict[str, Kernel]:
    assert model.grid is not None, "the kernels read filters from tables"
    with torch.no_grad():
        table = model.grid.tables(model.interactions)[0].contiguous()
    table.requires_grad_()
    ranges = molecule_ranges(*_fields(model, batch), largest_molecule=model.largest_molecule)
    features, grad = _stored(batch, case).requires_grad_(), _stored(batch, case)

    def forward() -> Tensor:
        with torch.no_grad():
            return convolve(features, table, ranges)

    def gradients() -> Any:
        return torch.autograd.grad(convolve(features, table, ranges), [features, table], grad)

    network = Network(case.channels, case.channels, 1, len(model.gaussians.centres))
    rows = table_rows(case.knots, 1 if case.order == "linear" else 2)
    once, both = (
        count_work(network, atoms=0, pairs=pairs, filters=rows, training=training).convolution
        for training in (False, True)
    )
    moved = features.numel() * features.element_size()
    return {
        "convolution": Kernel(forward, once, 2 * moved),
        "convolution, forward and backward": Kernel(gradients, both, 6 * moved),
    }


def _tail(model: SchNet, batch: PackBatch, case: KernelCase) -> dict[str, Kernel]:
    block: Any = model.interactions[0]
    layers = [p for i in (0, 2) for p in (block.after[i].weight, block.after[i].bias)]
    messages = _stored(batch, case).requires_grad_()
    residual = torch.randn(messages.shape, device=messages.device)

    def forward() -> Tensor:
        with torch.no_grad():
            return tail(messages, residual, *layers)

    def gradients() -> Any:
        out = tail(messages, residual, *layers)
        return torch.autograd.grad(out, [messages, *layers], residual)

    numbers, width = messages.numel(), messages.element_size()
    products = 2 * 2 * numbers * case.channels  # of two layers
    return {
        "tail": Kernel(forward, products, numbers * (width + 12)),
        "tail, forward and backward": Kernel(gradients, 3 * products, numbers * (3 * width + 40)),
    }


def _elementwise(model: SchNet, batch: PackBatch) -> dict[str, Kernel]:
    z, weight = batch.z.reshape(-1), model.embedding.weight
    rows = torch.randn(len(z), weight.shape[1], device=z.device)
    values = torch.randn(batch.z.shape, device=z.device)

    def softplus() -> Tensor:
        with torch.no_grad():
            return shifted_softplus(rows)

    def embedding_gradient() -> Any:
        return torch.autograd.grad(embed(z, weight), weight, rows)

    def sums() -> Tensor:
        slots = batch.molecule_mask.shape[1]
        return sum_molecules(values, batch.molecule_slot, batch.atom_mask, slots)

    return {
        "softplus": Kernel(softplus, 0.0, 8 * rows.numel()),
        "embedding, forward and backward": Kernel(embedding_gradient, 0.0, 8 * rows.numel()),
        "sums per molecule": Kernel(sums, 0.0, 13 * len(z)),
    }


def _stored(batch: PackBatch, case: KernelCase) -> Tensor:
    """Random features (A, F) in the case's storage, in rows as the model has them."""
    storage: torch.dtype = getattr(torch, case.storage)
    return empty_rows(batch.z.numel(), case.channels, storage, batch.pos.device).normal_()
