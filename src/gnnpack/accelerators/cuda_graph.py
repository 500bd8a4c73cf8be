"""Whole steps as captured CUDA graphs."""

from __future__ import annotations

import logging
import time
from typing import Any, Callable, Mapping

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor
from torch.optim import Optimizer

from gnnpack.accelerators.capture import CUDACapture, Graph
from gnnpack.accelerators.graph_optimizer import fit_for_graphs, own_form, portable_state
from gnnpack.accelerators.whole_step import WholeStepStrategy
from gnnpack.batching import HostStep, PackBatch, split_update

log = logging.getLogger(__name__)

# Updates made from Python before a capture: they compile kernels, make workspaces and the
# optimizer's state. They are real updates of the run, so nothing has to be put back.
WARM_UP_UPDATES = 3


class CUDAGraphStrategy(WholeStepStrategy):
    """`WholeStepStrategy` whose calls replay one CUDA graph of all their updates.

    The first updates run from Python. Then the call of ``device_iterations`` updates and the
    shorter last call of an epoch are captured, each once. Calls of another length (where
    trainer.max_steps ends) and calls with an update without molecules run from Python. What cannot
    be captured is told, and the run goes on from Python.

    Attributes:
        captures: graphs captured in this run.
        recaptures: those of them made anew because something had moved in memory.
        steps_without_graph: calls that ran from Python.
        capture_seconds: what the captures took of the host.
    """

    strategy_name = "cuda_graph"

    # The host prepares a call while the device is at the one before.
    calls_behind = 1

    def __init__(
        self,
        device: Any = "cuda:0",
        device_iterations: int = 16,
        capture: Any = None,
        **lightning: Any,
    ) -> None:
        super().__init__(device=device, device_iterations=device_iterations, **lightning)
        self.captures, self.recaptures, self.steps_without_graph = 0, 0, 0
        self.capture_seconds = 0.0
        self._capture: Any = CUDACapture(self.root_device) if capture is None else capture
        self._own_form: list[dict[str, Any]] = []
        self._graphs: dict[int, Graph] = {}
        self._updates_made = 0
        self._refused = False
        self._moved = False
        self._addresses: list[int] = []
        self._packs: PackBatch | None = None
        self._rate_tensor: Tensor | None = None
        self._rates_there: list[list[float]] = []

    @property
    def run_summary(self) -> dict[str, float]:
        """What summary.json tells of the graphs."""
        return {
            "graph_captures": self.captures,
            "graph_recaptures": self.recaptures,
            "capture_seconds": self.capture_seconds,
        }

    # --- Lightning's hooks ---

    def setup(self, trainer: pl.Trainer) -> None:
        """Make the optimizer fit; nothing is captured before a checkpoint is restored."""
        super().setup(trainer)
        if trainer.state.fn == TrainerFn.FITTING:
            self._own_form = own_form(self.optimizers[0])
            fit_for_graphs(self.optimizers[0])
            self.captures, self.recaptures, self.steps_without_graph = 0, 0, 0
            self.capture_seconds = 0.0
            self.blocked_seconds = 0.0
            self._refused = False
            self._forget()

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Restore the optimizer; its tensors are others now, and its form is the writer's."""
        super().load_optimizer_state_dict(checkpoint)
        fit_for_graphs(self.optimizers[0])
        self._forget()

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """State in the user's own form, so that a CPU can go on with it."""
        return portable_state(super().optimizer_state(optimizer), self._own_form)

    def on_validation_end(self) -> None:
        """Look again whether all is where the graphs have it."""
        self._moved = True

    def on_train_end(self) -> None:
        """Tell how the graphs did."""
        super().on_train_end()
        log.info(
            "graph captures: %d, re-captures in training: %d, calls without a graph: %d",
            self.captures,
            self.recaptures,
            self.steps_without_graph,
        )

    # --- the updates ---

    def _run(self, step: HostStep) -> tuple[Tensor, list[float]]:
        graph = self._graph_for(step)
        if graph is None:
            self.steps_without_graph += 1
            with self._capture.warm_up():
                made = super()._run(step)
            self._updates_made += self._num_updates
            return made
        rates = list(self._rates())
        self._fill(step, rates)
        graph.replay()
        # The next replay overwrites the output; what is told of it is copied before.
        return graph.output, [by_group[0] for by_group in rates]

    def _graph_for(self, step: HostStep) -> Graph | None:
        """The graph of a call's updates; None = run it from Python."""
        if self._refused or self._updates_made < WARM_UP_UPDATES:
            return None
        if self._moved and self._graphs:
            self._refuse_moved()
        self._moved = False
        whole = self._num_updates == step.num_updates
        if not whole or not all(step.molecules):
            return None
        if not self._graphs:
            self._capture_all(step)
        return self._graphs.get(self._num_updates)

    def _capture_all(self, step: HostStep) -> None:
        trainer, loader = self._trainer, self._loader
        begun = time.perf_counter()
        most = loader.device_iterations or 1
        last = loader.updates_of(int(trainer.num_training_batches)) % most
        self._make_inputs(step, most)
        try:
            for num_updates in {most, last} - {0}:
                self._graphs[num_updates] = self._capture.capture(self._updates(step, num_updates))
                self.captures += 1
        except Exception as error:  # what a capture refuses has many types, and all mean the same
            self._refused = True
            self._graphs.clear()
            log.warning(
                "The training step cannot be captured as a CUDA graph, so its kernels are "
                "launched one by one, which is slower: %s: %s",
                type(error).__name__,
                (str(error).splitlines() or ["no reason given"])[0],
            )
        self._addresses = self._all_addresses()
        self.capture_seconds += time.perf_counter() - begun

    def _updates(self, step: HostStep, num_updates: int) -> Callable[[], Tensor]:
        """The function of which a graph is made: from static inputs to losses (num_updates,)."""
        assert self._rate_tensor is not None, "inputs are made before a capture"
        assert self._average is None or self._average.begun, "the warm-up begins the average"
        rates = [list(by_group.unbind()) for by_group in self._rate_tensor]
        resident, packs = step.resident, self._packs
        most = len(rates)

        def updates() -> Tensor:
            losses = []
            for update in range(num_updates):
                if resident is not None:
                    batch = resident.take()
                else:
                    assert packs is not None, "a host step that is not resident holds packs"
                    batch = split_update(packs, update, most)
                losses.append(self._update(batch, rates[update]))
            return torch.stack(losses)

        return updates

    # --- static inputs ---

    def _make_inputs(self, step: HostStep, most: int) -> None:
        device, groups = self.root_device, len(self.optimizers[0].param_groups)
        # Fused kernels on a GPU read the rate in float32, on a CPU in float64.
        dtype = torch.float32 if device.type == "cuda" else torch.float64
        self._rate_tensor = torch.zeros(most, groups, dtype=dtype, device=device)
        self._rates_there = []
        if step.packs is not None:
            size = len(step.packs.z) // step.num_updates * most
            self._packs = PackBatch(
                *(tensor.new_zeros((size, *tensor.shape[1:])) for tensor in step.packs)
            )

    def _fill(self, step: HostStep, rates: list[list[float]]) -> None:
        """Write a call's packs and rates where its graph reads them."""
        if step.packs is not None:
            assert self._packs is not None, "inputs are made before a capture"
            for kept, new in zip(self._packs, step.packs):
                kept[: len(new)].copy_(new, non_blocking=True)
        if rates != self._rates_there:
            assert self._rate_tensor is not None, "inputs are made before a capture"
            self._capture.upload(self._rate_tensor[: len(rates)], rates)
            self._rates_there = rates

    # --- what a graph holds on to ---

    def _all_addresses(self) -> list[int]:
        """Where the weights, the optimizer's state and the average lie."""
        module, optimizer = self._module, self.optimizers[0]
        tensors = [*module.parameters(), *module.buffers()]
        for state in optimizer.state.values():
            tensors += [value for value in state.values() if isinstance(value, Tensor)]
        if self._average is not None:
            tensors += self._average.tensors()
        return [tensor.data_ptr() for tensor in tensors]

    def _refuse_moved(self) -> None:
        if self._all_addresses() == self._addresses:
            return
        log.warning(
            "Weights or the optimizer's state were given new memory in training (a callback that "
            "assigns instead of copying?), so the CUDA graphs are captured again."
        )
        self.recaptures += len(self._graphs)
        self._graphs.clear()

    def _forget(self) -> None:
        self._graphs.clear()
        self._updates_made = 0
        self._moved = False
        self._packs, self._rate_tensor, self._rates_there = None, None, []

    # --- telling ---

    def _stage(self, losses: Tensor) -> Callable[[], list[float]]:
        read = self._capture.download(losses)

        def numbers() -> list[float]:
            values, waited = read()
            self.blocked_seconds = (self.blocked_seconds or 0.0) + waited
            return list(values)

        return numbers
