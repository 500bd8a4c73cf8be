"""SchNet with tabulated filters on the CUDA kernels: from a batch to values of its atoms.

Nothing here waits for the device and every shape follows from the batch's shape, so that a CUDA
graph can hold a whole update. The same batch and weights give the same bits.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from gnnpack.batching import PackBatch
from gnnpack.kernels.cuda import (
    convolve,
    embed,
    empty_rows,
    molecule_ranges,
    shifted_softplus,
    tail,
    unavailable,
)
from gnnpack.kernels.cuda.rows import WIDEST_ACCESS

if TYPE_CHECKING:
    from gnnpack.models.schnet import SchNet

log = logging.getLogger(__name__)

# A atom slots, F channels of the atoms, C of the convolution


def serves(weight: Tensor) -> bool:
    """Whether the kernels take a model with weights like this one.

    On a GPU where they cannot be used it is said, once, why and what helps.
    """
    if not weight.is_cuda:
        return False
    reason = _reason_against(weight.dtype)
    if reason is not None:
        _warn_once(reason)
    return reason is None


def atom_values(model: SchNet, z: Tensor, pos: Tensor, batch: PackBatch) -> Tensor:
    """Values of the atoms (A, 1) float32, in the network's own scale.

    Under autocast what the convolution reads and writes is stored in its type, and the products of
    a block's tail are made in it; tables, sums, the residual stream and the output layer stay
    float32.

    Args:
        model: with filters from tables and a block at least.
        z: (A,) atomic numbers that have an embedding; not checked.
        pos: (P, N, 3) float32, Å; may ask for a gradient.
    """
    grid, embedding = model.grid, model.embedding.weight
    assert grid is not None, "the kernels read filters from tables"
    blocks: Any = model.interactions
    output: Any = model.output
    # Outside of what follows: the product's type is the one that autocast asks for.
    first = embedding @ blocks[0].before.weight.t()
    storage = first.dtype
    with torch.autocast(pos.device.type, enabled=False):
        # The compiled tables are the CPU's.
        tables = _with_room(grid.tables(model.interactions, compiled=False), storage)
        ranges = molecule_ranges(
            pos,
            batch.molecule_slot,
            batch.atom_mask,
            grid.cutoff,
            grid.num_knots,
            largest_molecule=model.largest_molecule,
            # They serve the gradient of the tables alone.
            sort_pairs=tables.requires_grad,
        )
        features = embed(z, embedding)
        if first.shape[1] * first.element_size() % WIDEST_ACCESS == 0:
            # Applied to the elements' embeddings instead of to the atoms'.
            ahead = embed(z, first)
        else:
            ahead = next_layer(features, blocks[0].before.weight, storage)
        for number, (table, block) in enumerate(zip(tables.unbind(0), blocks)):
            if number > 0:
                ahead = next_layer(features, block.before.weight, storage)
            one, two = block.after[0], block.after[2]
            messages = convolve(ahead, table, ranges)
            features = tail(messages, features, one.weight, one.bias, two.weight, two.bias)
        values: Tensor = output[2](shifted_softplus(output[0](features)))
    return values


def _with_room(tables: Tensor, storage: torch.dtype) -> Tensor:
    """Tables (L, M, K, F) in rows as long as those of the features, which are read beside them.

    100 numbers of 2 bytes lie in rows of 104, and the kernels read a row's rest too where all have
    one.
    """
    step = WIDEST_ACCESS // torch.empty(0, dtype=storage).element_size()
    missing = -tables.shape[-1] % step
    if not missing:
        return tables
    return F.pad(tables, (0, missing))[..., : tables.shape[-1]]


def next_layer(features: Tensor, weight: Tensor, storage: torch.dtype) -> Tensor:
    """weight features, (A, C) in type ``storage``, in rows the convolution reads 16 bytes at once.

    Args:
        features: (A, F).
        weight: (C, F), as nn.Linear has it.
    """
    out: Tensor = _NextLayer.apply(features, weight, storage)  # type: ignore[no-untyped-call]
    return out


class _NextLayer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, storage: torch.dtype) -> Tensor:
        ctx.types = features.dtype, weight.dtype
        features, weight = features.to(storage), weight.to(storage)
        ctx.save_for_backward(features, weight)
        out = empty_rows(len(features), len(weight), storage, features.device)
        return torch.mm(features, weight.t(), out=out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        features, weight = ctx.saved_tensors
        feature_type, weight_type = ctx.types
        return (grad @ weight).to(feature_type), (grad.t() @ features).to(weight_type), None


def _reason_against(dtype: torch.dtype) -> str | None:
    if dtype != torch.float32:
        return (
            f"The CUDA kernels need float32 weights and these are {dtype}: use "
            "accelerator.precision=32-true or bf16-mixed."
        )
    return unavailable()


@lru_cache(maxsize=None)
def _warn_once(reason: str) -> None:
    log.warning("SchNet runs in plain torch on this GPU, several times slower. %s", reason)
