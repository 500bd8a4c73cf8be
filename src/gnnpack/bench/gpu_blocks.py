"""One interaction block forward, as others have published it: replayed, and from Python."""

from __future__ import annotations

from typing import Any, Mapping

import numpy as np
import torch
from torch import Tensor

from gnnpack.bench.gpu_clock import DeviceClock, matmul_precision
from gnnpack.bench.gpu_molecules import count_pairs, droplets, packed_batch
from gnnpack.bench.gpu_roof import ROOF, percent_of_floor
from gnnpack.bench.gpu_settings import BlockCase, GPUSettings
from gnnpack.bench.work import Network, count_work, table_rows
from gnnpack.kernels.cuda import convolve, molecule_ranges, tail
from gnnpack.models import SchNet
from gnnpack.models.cuda_path import next_layer


def measure_block(
    settings: GPUSettings, case: BlockCase, earlier: Mapping[str, Any]
) -> dict[str, Any]:
    """Seconds of a block: its filter table, first layer, convolution and tail, float32 and TF32.

    Molecules of ``neighbours + 1`` atoms, all within the cutoff, as many as ``atoms`` allows.
    ``with_ranges`` also finds each atom's molecule from the batch, once for all blocks of a model.
    """
    sizes = settings.sizes
    each = case.neighbours + 1
    source = droplets(np.full(case.atoms // each, each, dtype=np.int64), seed=settings.seed)
    # As wide as the cutoff at most, so that distances are spread over the whole table.
    width = 2.0 * float(np.linalg.norm(source.pos, axis=1).max())
    source = source._replace(pos=source.pos * np.float32(min(1.0, 0.999 * sizes.cutoff / width)))
    batch = packed_batch(source, 4 * each, settings.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = SchNet(case.channels, 1, sizes.num_gaussians, sizes.cutoff, filter="tabulated").to(
            settings.device
        )
    pairs = count_pairs(batch, sizes.cutoff)
    grid = model.grid
    assert grid is not None, "filter=tabulated has a grid"
    knots = grid.num_knots
    fields = batch.pos, batch.molecule_slot, batch.atom_mask, sizes.cutoff, knots
    ranges = molecule_ranges(*fields, sort_pairs=False)
    features = torch.randn(batch.z.numel(), case.channels, device=settings.device)
    block: Any = model.interactions[0]
    first, last = block.after[0], block.after[2]

    @torch.no_grad()
    def forward(ranges: Any = ranges) -> Tensor:
        table = grid.tables(model.interactions)[0]
        ahead = next_layer(features, block.before.weight, features.dtype)
        messages = convolve(ahead, table, ranges)
        return tail(messages, features, first.weight, first.bias, last.weight, last.bias)

    def with_ranges() -> Tensor:
        return forward(molecule_ranges(*fields, sort_pairs=False))

    atoms = int(batch.atom_mask.sum())
    network = Network(case.channels, case.channels, 1, sizes.num_gaussians)
    rows = table_rows(knots, grid.rows_per_knot)
    work = count_work(network, atoms=atoms, pairs=pairs, filters=rows, training=False)
    clock = DeviceClock(settings.device, settings.repeats)
    found: dict[str, Any] = {"atoms": atoms, "edges": 2 * pairs, "knots": knots}
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
