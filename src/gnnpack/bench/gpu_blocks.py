"""One interaction block forward, as others have published it: replayed, and from Python."""

from __future__ import annotations

from typing import Any, Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from gnnpack.batching import PackBatch
from gnnpack.bench.gpu_clock import DeviceClock, matmul_precision
from gnnpack.bench.gpu_molecules import count_pairs, droplets, packed_batch
from gnnpack.bench.gpu_roof import ROOF, percent_of_floor
from gnnpack.bench.gpu_settings import BlockCase, GPUSettings
from gnnpack.bench.work import Network, count_work, table_rows
from gnnpack.kernels.cuda import convolve, molecule_ranges, tail
from gnnpack.models import SchNet
from gnnpack.models.cuda_path import next_layer

Call = Callable[[], Tensor]


def measure_block(
    settings: GPUSettings, case: BlockCase, earlier: Mapping[str, Any]
) -> dict[str, Any]:
    """Seconds of a block: its filter table, first layer, convolution and tail, float32 and TF32.

    ``with_ranges`` also finds each atom's molecule from the batch, once for all blocks of a model.
    """
    model, batch = block_model(settings, case), block_batch(settings, case)
    assert model.grid is not None, "filter=tabulated has a grid"
    knots, pairs = model.grid.num_knots, count_pairs(batch, model.cutoff)
    network = Network(case.channels, case.channels, 1, settings.sizes.num_gaussians)
    work = count_work(
        network,
        atoms=int(batch.atom_mask.sum()),
        pairs=pairs,
        filters=table_rows(knots, model.grid.rows_per_knot),
        training=False,
    )
    forward, with_ranges = block_calls(model, batch)
    clock = DeviceClock(settings.device, settings.repeats)
    found: dict[str, Any] = {
        "atoms": int(batch.atom_mask.sum()),
        "edges": 2 * pairs,
        "knots": knots,
    }
    for precision in ("tf32", "float32"):
        with matmul_precision(precision):
            graph = clock.replayed(forward, calls_per_graph=1)
            found[precision] = {
                "graph": graph,
                "graph_with_ranges": clock.replayed(with_ranges, calls_per_graph=1),
                "eager": clock.launched(forward),
                "percent_of_floor": percent_of_floor(
                    earlier.get(ROOF),
                    graph["median"],
                    flop=work.matrix_products,
                    bytes=work.bytes,
                    precision=precision,
                ),
            }
    return found


def block_model(settings: GPUSettings, case: BlockCase) -> SchNet:
    """SchNet of one block with filters from a table, the same weights in every call."""
    sizes = settings.sizes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = SchNet(case.channels, 1, sizes.num_gaussians, sizes.cutoff, filter="tabulated")
    return model.to(settings.device)


def block_batch(settings: GPUSettings, case: BlockCase) -> PackBatch:
    """Molecules of ``neighbours + 1`` atoms, all within the cutoff; as many as ``atoms`` allows."""
    each = case.neighbours + 1
    source = droplets(np.full(case.atoms // each, each, dtype=np.int64), seed=settings.seed)
    # As wide as the cutoff at most, so that distances are spread over the whole table.
    width = 2.0 * float(np.linalg.norm(source.pos, axis=1).max())
    shrink = np.float32(min(1.0, 0.999 * settings.sizes.cutoff / width))
    return packed_batch(source._replace(pos=source.pos * shrink), 4 * each, settings.device)


def block_calls(model: SchNet, batch: PackBatch) -> tuple[Call, Call]:
    """The block forward on features at random, and the same finding the molecules first."""
    grid = model.grid
    block: Any = model.interactions[0]
    assert grid is not None, "filter=tabulated has a grid"
    fields = batch.pos, batch.molecule_slot, batch.atom_mask, grid.cutoff, grid.num_knots
    known = molecule_ranges(*fields, sort_pairs=False)
    first, last, before = block.after[0], block.after[2], block.before.weight
    features = torch.randn(batch.z.numel(), before.shape[1], device=batch.pos.device)

    @torch.no_grad()
    def forward(ranges: Any = known) -> Tensor:
        table = grid.tables(model.interactions)[0]
        ahead = next_layer(features, before, features.dtype)
        messages = convolve(ahead, table, ranges)
        return tail(messages, features, first.weight, first.bias, last.weight, last.bias)

    def with_ranges() -> Tensor:
        return forward(molecule_ranges(*fields, sort_pairs=False))

    return forward, with_ranges
