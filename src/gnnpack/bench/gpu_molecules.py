"""Made molecules for measuring: random droplets of any sizes, as columns and as batches."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from gnnpack.batching import PackBatch, PackSource
from gnnpack.bench.batches import whole_batch
from gnnpack.packing import PackShape, lpfhp

# Atoms an Å^3, hydrogens included: liquid water at 25 degrees Celsius.
DENSITY = 0.1003
_BLOCK = 1 << 24


def droplets(sizes: NDArray[np.int64], *, seed: int = 0, device: str = "cpu") -> PackSource:
    """Molecules of ``sizes`` (M,) atoms, uniform in a ball of liquid density: synthetic geometry.

    Nothing keeps two atoms apart, and targets are random: for speed, not for learning. Every third
    atom is an oxygen. Made on ``device``, a block at a time, and kept in host memory.
    """
    generator = torch.Generator(device).manual_seed(seed)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    total = int(offsets[-1])
    pos = np.empty((total, 3), dtype=np.float32)
    radius = (3 * sizes / (4 * math.pi * DENSITY)) ** (1 / 3)
    each = np.repeat(radius.astype(np.float32), sizes)
    for first in range(0, total, _BLOCK):
        part = slice(first, min(first + _BLOCK, total))
        number = part.stop - part.start
        direction = torch.randn(number, 3, generator=generator, device=device)
        direction /= direction.norm(dim=1, keepdim=True)
        # The cube root makes the density even.
        away = torch.rand(number, 1, generator=generator, device=device) ** (1 / 3)
        pos[part] = (direction * away).cpu().numpy() * each[part, None]
    z = np.full(total, 1, dtype=np.uint8)
    z[::3] = 8
    random = np.random.RandomState(seed)
    return PackSource(z, pos, offsets, random.randn(len(sizes)), np.arange(len(sizes)))


def packed_batch(source: PackSource, slots: int, device: str) -> PackBatch:
    """All molecules of the source as one batch in packs of ``slots``, on ``device``."""
    plan = lpfhp(source.num_atoms, PackShape(slots))
    return PackBatch(*(tensor.to(device) for tensor in whole_batch(source, plan)))


def count_pairs(batch: PackBatch, cutoff: float) -> int:
    """Undirected pairs within the cutoff."""
    from gnnpack.kernels import find_pairs

    fields = batch.pos, batch.molecule_slot, batch.atom_mask, cutoff
    return len(find_pairs(*fields, compiled=False).first)
