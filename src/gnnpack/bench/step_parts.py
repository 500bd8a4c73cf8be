"""Where a training step's time goes: its parts one by one, on the same batch."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Sequence

import torch
from torch import Tensor

from gnnpack.batching import PackBatch
from gnnpack.bench.batches import whole_batch
from gnnpack.bench.data import Batch, BenchData
from gnnpack.bench.models import make_model
from gnnpack.bench.section import Contender, Section, add_facts, measure
from gnnpack.bench.settings import OverviewSettings
from gnnpack.bench.training_step import TrainingStep
from gnnpack.kernels import Pairs, atom_values, find_pairs, make_stencil
from gnnpack.models import SchNet
from gnnpack.objective import MAE

WHOLE = "whole step"


class Parts:
    """The parts of one update of a model with tabulated filters on one batch."""

    def __init__(self, model: SchNet, batch: PackBatch, step: TrainingStep) -> None:
        assert model.grid is not None, "made with tables"
        self.model, self.grid, self.batch, self.step = model, model.grid, batch, step
        self.z = batch.z.view(-1)
        self.pairs = self.find_pairs()
        self.stencil = self.make_stencil()
        with torch.no_grad():
            self.values = self.network().view(batch.z.shape)
        self.values.requires_grad_()

    def find_pairs(self) -> Pairs:
        """Neighbours and distances."""
        fields = self.batch.molecule_slot, self.batch.atom_mask, self.model.cutoff
        return find_pairs(self.batch.pos, *fields)

    def make_stencil(self) -> Any:
        """Knots and weights of all pairs."""
        grid = self.grid
        return make_stencil(self.pairs, grid.cutoff, grid.num_knots, grid.rows_per_knot)

    def tables(self) -> Tensor:
        """Filter networks at the knots."""
        return self.grid.tables(self.model.interactions)

    def network(self) -> Tensor:
        """Blocks and output layer, filters being there."""
        tables = self.tables().detach()
        return atom_values(self.z, self.stencil, *self.model.parameters_with(tables))

    def readout(self) -> Tensor:
        """From atoms' values to the loss."""
        loss: Tensor = MAE()(self.model.readout(self.values, self.batch), self.batch)
        return loss

    def calls(self) -> dict[str, Callable[[], object]]:
        """What is timed, by name; backward passes hold their forward pass."""
        weights = list(self.model.parameters())
        return {
            "find neighbours": self.find_pairs,
            "knots and weights of pairs": self.make_stencil,
            "filter tables, forward": partial(_without_gradient, self.tables),
            "filter tables, both passes": partial(_both_passes, self.tables, weights),
            "tables and blocks, forward": partial(_without_gradient, self.network),
            "tables forward, blocks both passes": partial(_both_passes, self.network, weights),
            "readout and loss, both passes": partial(_both_passes, self.readout, [self.values]),
            "optimizer": self.step.optimizer.step,
            WHOLE: self.step,
        }


def measure_parts(data: BenchData, batch: Batch, settings: OverviewSettings) -> Section:
    """Time each part of the update of `measure_steps`' first row."""
    packed = whole_batch(batch.source, batch.packed)
    model, n = make_model(data, settings, filter="tabulated"), len(batch.source.rows)

    def loss() -> Tensor:
        value: Tensor = MAE()(model(packed), packed)
        return value

    step = TrainingStep(WHOLE, model, lambda: model(packed), loss, settings.lr)
    step()
    parts = Parts(model, packed, step)
    fill = partial(whole_batch, batch.source, batch.packed)
    calls: dict[str, Callable[[], object]] = {"fill the batch": fill, **parts.calls()}
    section = measure(
        f"step_parts_{n}",
        f"Where a step's time goes, batch {n}",
        f"The step of {n:,} molecules with tabulated filters, {len(parts.pairs.first):,} pairs, "
        "and its parts; each alone and in turns, so they need not add up. The training loop and "
        "loggers come on top.",
        [Contender(name, name, call) for name, call in calls.items()],
        settings.repeats,
        columns=("percent_of_step",),
    )
    seconds = {row.name: row.seconds.median for row in section.rows}
    share = {name: {"percent_of_step": 100 * s / seconds[WHOLE]} for name, s in seconds.items()}
    return add_facts(section, share)


def _without_gradient(call: Callable[[], Tensor]) -> None:
    with torch.no_grad():
        call()


def _both_passes(call: Callable[[], Tensor], leaves: Sequence[Tensor]) -> None:
    # Not to .grad, where gradients would pile up and the optimizer read them.
    torch.autograd.grad(call().sum(), leaves, allow_unused=True)
