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
    assert model.grid is not None, "the kernels read filters from tables"
    grid, device, F = model.grid, batch.pos.device, case.channels
    storage: torch.dtype = getattr(torch, case.storage)
    A, width = batch.z.numel(), torch.empty(0, dtype=storage).element_size()
    with torch.no_grad():
        table = grid.tables(model.interactions)[0].contiguous()
    fields = batch.pos, batch.molecule_slot, batch.atom_mask, grid.cutoff, grid.num_knots
    largest = model.largest_molecule
    ranges = molecule_ranges(*fields, largest_molecule=largest)
    features = empty_rows(A, F, storage, device).normal_().requires_grad_()
    grad = empty_rows(A, F, storage, device).normal_()
    leaf = table.requires_grad_()
    residual = torch.randn(A, F, device=device)
    block: Any = model.interactions[0]
    layers = [p for i in (0, 2) for p in (block.after[i].weight, block.after[i].bias)]
    z = batch.z.reshape(-1)
    values = torch.randn(batch.z.shape, device=device)

    def convolution() -> Tensor:
        with torch.no_grad():
            return convolve(features, leaf, ranges)

    def convolution_gradients() -> Any:
        return torch.autograd.grad(convolve(features, leaf, ranges), [features, leaf], grad)

    def tail_forward() -> Tensor:
        with torch.no_grad():
            return tail(features, residual, *layers)

    def tail_gradients() -> Any:
        out = tail(features, residual, *layers)
        return torch.autograd.grad(out, [features, *layers], residual)

    def embedding_gradient() -> Any:
        weight = model.embedding.weight
        return torch.autograd.grad(embed(z, weight), weight, residual)

    def softplus() -> Tensor:
        with torch.no_grad():
            return shifted_softplus(residual)

    work = {
        training: count_work(
            Network(F, F, 1, len(model.gaussians.centres)),
            atoms=0,
            pairs=pairs,
            filters=table_rows(case.knots, 1 if case.order == "linear" else 2),
            training=training,
        )
        for training in (False, True)
    }
    rows, layer = A * F, 2 * A * F * F
    return {
        "ranges and sorted pairs": Kernel(
            lambda: molecule_ranges(*fields, largest_molecule=largest)
        ),
        "ranges": Kernel(lambda: molecule_ranges(*fields, sort_pairs=False)),
        "convolution": Kernel(convolution, work[False].convolution, 2 * rows * width),
        "convolution, forward and backward": Kernel(
            convolution_gradients, work[True].convolution, 6 * rows * width
        ),
        "tail": Kernel(tail_forward, 2 * layer, rows * (width + 12)),
        "tail, forward and backward": Kernel(tail_gradients, 6 * layer, rows * (3 * width + 40)),
        "softplus": Kernel(softplus, 0.0, 8 * rows),
        "embedding, forward and backward": Kernel(embedding_gradient, 0.0, 8 * rows),
        "sums per molecule": Kernel(
            lambda: sum_molecules(
                values, batch.molecule_slot, batch.atom_mask, batch.molecule_mask.shape[1]
            ),
            0.0,
            13 * A,
        ),
    }
