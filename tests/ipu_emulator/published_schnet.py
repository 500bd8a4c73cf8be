"""The published network, as one module that an IPU traces: only its shapes count here."""

from __future__ import annotations

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, features: int, num_gaussians: int) -> None:
        super().__init__()
        self.filter_in = nn.Linear(num_gaussians, features)
        self.filter_out = nn.Linear(features, features)
        self.lin1 = nn.Linear(features, features, bias=False)
        self.lin2 = nn.Linear(features, features)
        self.lin = nn.Linear(features, features)

    def forward(self, h, gaussians, cut, source, target):
        weights = self.filter_out(shifted_softplus(self.filter_in(gaussians))) * cut
        messages = self.lin1(h).index_select(0, source) * weights
        index = target.unsqueeze(-1).expand_as(messages)
        summed = torch.zeros_like(h).scatter_add(0, index, messages)
        return self.lin(shifted_softplus(self.lin2(summed)))


class PublishedSchNet(nn.Module):
    """k nearest neighbours by dense distances and top-k over the whole micro-batch, k = 28."""

    def __init__(self, features=100, blocks=4, num_gaussians=25, cutoff=6.0, neighbours=28):
        super().__init__()
        self.cutoff, self.neighbours = cutoff, neighbours
        self.embedding = nn.Embedding(100, features)
        self.blocks = nn.ModuleList(Block(features, num_gaussians) for _ in range(blocks))
        self.lin1 = nn.Linear(features, features // 2)
        self.lin2 = nn.Linear(features // 2, 1)
        self.register_buffer("offset", torch.linspace(0.0, cutoff, num_gaussians))

    def forward(self, z, pos, molecule, energy):
        distance = (pos.unsqueeze(1) - pos).square().sum(-1).sqrt()
        apart = molecule.unsqueeze(1) != molecule
        near, source = torch.topk(-distance.masked_fill(apart, self.cutoff), self.neighbours)
        target = torch.arange(len(z), device=z.device).unsqueeze(1).expand_as(source)
        edge = (-near).reshape(-1, 1)
        cut = 0.5 * (torch.cos(edge * (3.14159 / self.cutoff)) + 1.0)
        gaussians = torch.exp(-10.0 * (edge - self.offset).square())
        h = self.embedding(z)
        for block in self.blocks:
            h = h + block(h, gaussians, cut, source.reshape(-1), target.reshape(-1))
        atoms = self.lin2(shifted_softplus(self.lin1(h)))
        out = torch.zeros_like(energy).scatter_add(0, molecule, atoms.squeeze(-1))
        return nn.functional.mse_loss(out, energy)


def shifted_softplus(x):
    # The published one, faster on an IPU.
    return torch.log1p(torch.exp(-x.abs())) + x.clamp_min(0.0) - 0.6931472


def micro_batch(num_packs: int, num_atoms: int, molecules_per_pack: int):
    """Arguments of `PublishedSchNet` for one micro-batch of packs."""
    slots, molecules = num_packs * num_atoms, num_packs * molecules_per_pack
    return (
        torch.ones(slots, dtype=torch.int64),
        torch.arange(3.0 * slots).reshape(slots, 3),
        torch.arange(slots) * molecules // slots,
        torch.zeros(molecules),
    )
