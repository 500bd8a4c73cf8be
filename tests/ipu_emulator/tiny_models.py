"""Small models, their data, and torch's own training loop to compare with."""

from __future__ import annotations

import copy

import torch

from gnnpack.accelerators import ipu_emulator as poptorch

SIZE = 3


class Regression(torch.nn.Module):
    """A linear layer with a mean squared error of its own; gives (loss, prediction)."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(SIZE, 1)
        self.traced_shapes = []

    def forward(self, x, y):
        self.traced_shapes.append(tuple(x.shape))
        prediction = self.linear(x)
        return poptorch.identity_loss((prediction - y).square(), "mean"), prediction


class Identity(torch.nn.Module):
    """Returns its input."""

    def forward(self, x):
        return x


def regression(seed=0):
    torch.manual_seed(seed)
    return Regression()


def data(rows, seed=1):
    """(rows, 3) and (rows, 1) normal numbers."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, SIZE, generator=generator), torch.randn(rows, 1, generator=generator)


def options(iterations=1, accumulation=1, replicas=1, mode=None, period=None):
    made = poptorch.Options().deviceIterations(iterations).replicationFactor(replicas)
    made.Training.gradientAccumulation(accumulation)
    if mode is not None:
        made.outputMode(mode, period)
    return made


def train_once(model, chosen, optimizer, *batch):
    """A call of a training executor that nobody keeps; its outputs, the weights on the host."""
    executor = poptorch.trainingModel(model, chosen, optimizer)
    outputs = executor(*batch)
    executor.copyWeightsToHost()
    return outputs


def torch_updates(model, make_optimizer, batches, per_update, clip=None, reduce=torch.mean):
    """torch's own loop on a copy: one loss for each micro-batch, and the trained copy."""
    trained = copy.deepcopy(model)
    optimizer = make_optimizer(trained.parameters())
    losses = []
    for start in range(0, len(batches), per_update):
        optimizer.zero_grad()
        made = torch.stack([trained(*batch)[0] for batch in batches[start : start + per_update]])
        reduce(made).backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(trained.parameters(), clip)
        optimizer.step()
        losses += made.tolist()
    return losses, trained


def same_weights(model, other, rtol=1e-5, atol=1e-6):
    names = [name for name, _ in model.named_parameters()]
    for name, one, two in zip(names, model.parameters(), other.parameters()):
        torch.testing.assert_close(
            one.detach(),
            two.detach(),
            rtol=rtol,
            atol=atol,
            msg=lambda text, n=name: f"{n}: {text}",
        )
