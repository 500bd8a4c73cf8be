"""What the machine can do at most: the rate of matrix products and of copies in memory."""

from __future__ import annotations

from functools import partial
from typing import Callable, Mapping, NamedTuple, Sequence

import torch
from torch import Tensor

from gnnpack.bench.section import Contender, Section, add_facts, measure
from gnnpack.bench.work import Work
from gnnpack.kernels import has_numba

# Far beyond any cache.
COPY_BYTES = 1 << 27


class Roof(NamedTuple):
    """The best rates seen in this run."""

    flop_per_second: float  # of products at the shapes of the network's layers
    bytes_per_second: float  # read and written by a copy

    def floor_seconds(self, work: Work) -> float:
        """Least time for the matrix products of ``work``, if nothing else took any."""
        return work.matrix_products / self.flop_per_second

    def percent_of_floor(self, work: Work, seconds: float) -> float:
        """How much of a measured time the floor is; 100 = nothing but matrix products."""
        return 100.0 * self.floor_seconds(work) / seconds


def measure_machine(
    atoms: Sequence[int], channels: int, repeats: int, *, copy_bytes: int = COPY_BYTES
) -> tuple[Section, Roof]:
    """Time the matrix products of a layer, (atoms, channels) by (channels, channels), and a copy.

    Args:
        atoms: of each batch; each gets its three rows.
    """
    contenders, flop = [], {}
    for number in dict.fromkeys(atoms):
        for name, call in _products(number, channels).items():
            key = f"{name}_{number}"
            contenders.append(Contender(key, f"{name}, {number:,} atoms", call))
            flop[key] = 2 * number * channels * channels
    source = torch.ones(max(1, copy_bytes // 4))
    target = torch.empty_like(source)
    contenders.append(Contender("copy", "copy in memory", partial(target.copy_, source)))
    section = measure(
        "machine",
        "What the machine can do",
        f"Products of (atoms, {channels}) and ({channels}, {channels}) matrices, float32, "
        f"{torch.get_num_threads()} threads: a layer forward, and its gradients with respect to "
        "input and weight; and as gnnpack's own layers multiply, where that is another way. The "
        "best of them is the rate that floors are counted with.",
        contenders,
        repeats,
        columns=("GFLOP/s", "GB/s"),
    )
    seconds = {row.name: row.seconds.median for row in section.rows}
    rates = {name: {"GFLOP/s": flop[name] / seconds[name] / 1e9} for name in flop}
    copied = 2.0 * source.numel() * source.element_size() / seconds["copy"]
    section = add_facts(section, {**rates, "copy": {"GB/s": copied / 1e9}})
    return section, Roof(1e9 * max(rate["GFLOP/s"] for rate in rates.values()), copied)


def _products(atoms: int, channels: int) -> Mapping[str, Callable[[], Tensor]]:
    x, grad, out = (torch.ones(atoms, channels) for _ in range(3))
    weight, weight_grad = torch.ones(channels, channels), torch.empty(channels, channels)
    products: dict[str, Callable[[], Tensor]] = {
        "torch.mm forward": partial(torch.mm, x, weight.t(), out=out),
        "torch.mm input gradient": partial(torch.mm, grad, weight, out=out),
        "torch.mm weight gradient": partial(torch.mm, grad.t(), x, out=weight_grad),
    }
    if has_numba():
        # Else what is faster than torch.mm would make floors that are passed.
        products["gnnpack forward"] = _compiled_product(atoms, channels)
    return products


def _compiled_product(atoms: int, channels: int) -> Callable[[], Tensor]:
    from gnnpack.kernels.cpu_products import product, whole_vectors

    length = whole_vectors(channels)
    x, out = torch.ones(atoms, length), torch.empty(atoms, length)
    return partial(product, x, torch.ones(channels, length), out, channels)
