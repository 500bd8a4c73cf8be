"""The kernels' slow twins, dense and float64 with torch's own gradients; and packs by hand."""

from __future__ import annotations

import torch
from torch import Tensor

CUTOFF = 3.0


def packs(*sizes: tuple[int, ...], num_slots: int, seed: int = 0, device="cpu"):
    """pos (P, N, 3), molecule_slot and atom_mask (P, N) of packs with molecules of these sizes.

    Molecules are numbered backwards, filler has a molecule's number and far too large positions:
    nothing may lean on any of them, filler is known by its mask. A sixth of the pairs lie beyond
    the cutoff.
    """
    generator = torch.Generator().manual_seed(seed)
    pos = torch.full((len(sizes), num_slots, 3), 1e9)
    molecule_slot = torch.zeros(len(sizes), num_slots, dtype=torch.int64)
    atom_mask = torch.zeros(len(sizes), num_slots, dtype=torch.bool)
    for pack, molecules in enumerate(sizes):
        start = 0
        for molecule, size in enumerate(molecules):
            own = slice(start, start + size)
            pos[pack, own] = torch.rand(size, 3, generator=generator) * 3.2
            molecule_slot[pack, own] = len(molecules) - 1 - molecule
            atom_mask[pack, own] = True
            start += size
    return pos.to(device), molecule_slot.to(device), atom_mask.to(device)


def smooth_table(num_knots: int, order: int, num_channels: int, seed: int = 0) -> Tensor:
    """(M, K, F) with values that fall to 0 at the cutoff, and their slopes times the spacing."""
    generator = torch.Generator().manual_seed(seed)
    distance = torch.linspace(0, CUTOFF, num_knots, dtype=torch.float64, requires_grad=True)
    phase, pitch = torch.randn(2, num_channels, generator=generator, dtype=torch.float64)
    envelope = (0.5 * torch.cos(distance * torch.pi / CUTOFF) + 0.5)[:, None]
    values = envelope * torch.sin(phase + (1 + 0.3 * pitch) * distance[:, None])
    rows = [values]
    if order == 2:
        slopes = [torch.autograd.grad(v.sum(), distance, retain_graph=True)[0] for v in values.T]
        rows.append(torch.stack(slopes, 1) * CUTOFF / (num_knots - 1))
    return torch.stack(rows, 1).detach().float()


def interpolate(table: Tensor, distance: Tensor) -> Tensor:
    """The contract's filter at distances (...), (..., F)."""
    num_knots = table.shape[0]
    x = distance * ((num_knots - 1) / CUTOFF)
    b = x.detach().long().clamp(max=num_knots - 2)
    w = (x - b)[..., None]
    if table.shape[1] == 1:
        return (1 - w) * table[b, 0] + w * table[b + 1, 0]
    return (
        (1 + 2 * w) * (1 - w) ** 2 * table[b, 0]
        + w * (1 - w) ** 2 * table[b, 1]
        + w**2 * (3 - 2 * w) * table[b + 1, 0]
        + w**2 * (w - 1) * table[b + 1, 1]
    )


def convolve_dense(features: Tensor, table: Tensor, pos, molecule_slot, atom_mask) -> Tensor:
    """Every pair of slots of every pack, masked; features (A, F)."""
    num_packs, num_slots = molecule_slot.shape
    difference = pos[:, :, None] - pos[:, None, :]
    square = difference.square().sum(-1)
    near = (molecule_slot[:, :, None] == molecule_slot[:, None, :]) & (square < CUTOFF**2)
    near &= atom_mask[:, :, None] & atom_mask[:, None, :]
    near &= ~torch.eye(num_slots, dtype=torch.bool, device=pos.device)
    apart = near & (square > 0)
    distance = torch.where(apart, square, torch.ones_like(square)).sqrt() * apart
    weight = interpolate(table, distance) * near[..., None]
    grouped = features.view(num_packs, 1, num_slots, -1)
    return (weight * grouped).sum(2).view(features.shape)


def relative(fast: Tensor, slow: Tensor) -> float:
    """Norm of the difference over the norm of what is right."""
    return ((fast.double() - slow.double()).norm() / slow.double().norm()).item()
