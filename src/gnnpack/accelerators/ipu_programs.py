"""The two programs of an IPU run, training and prediction, which take turns on the IPUs."""

from __future__ import annotations

import logging
from typing import Any

from torch import Tensor

from gnnpack.accelerators.ipu_graph import PackGraph
from gnnpack.accelerators.ipu_settings import (
    IPUSettings,
    evaluation_options,
    training_options,
)
from gnnpack.batching import PackBatch

log = logging.getLogger(__name__)


class IPUPrograms:
    """Executors over one graph, made when first asked for; weights follow from one to the other."""

    def __init__(self, graph: PackGraph, poptorch: Any, settings: IPUSettings) -> None:
        self._graph, self._poptorch, self._settings = graph, poptorch, settings
        self._training: Any = None
        self._prediction: Any = None
        things = [graph, *graph.parameters(), *graph.buffers()]
        self._classes: list[tuple[Any, type]] = [(thing, type(thing)) for thing in things]
        # Whether the IPU has weights that the host has not.
        self._ahead = False

    def train(self, packs: PackBatch, optimizer: Any) -> Tensor:
        """Make a call's updates; their losses as the output mode has them."""
        executor = self._training_executor(optimizer)
        if not executor.isCompiled():
            # Apart from the first call, which may take long: first what it will take.
            self._called(executor.compile, packs)
            self._tell_size(executor)
        losses: Tensor = self._called(executor, packs)
        self._ahead = True
        return losses

    def predict(self, packs: PackBatch) -> Tensor:
        """Predictions (P, G)."""
        predicted: Tensor = self._called(self._prediction_executor(), packs)
        return predicted

    def compile(self, packs: PackBatch, optimizer: Any) -> None:
        """Compile both programs, for calls like this one, into the cache."""
        executor = self._training_executor(optimizer)
        self._called(executor.compile, packs)
        self._tell_size(executor)
        # Predictions are made without accumulation: fewer packs a call.
        kept = len(packs.z) // self._settings.gradient_accumulation
        self._called(
            self._prediction_executor().compile, PackBatch(*(field[:kept] for field in packs))
        )

    def _called(self, program: Any, packs: PackBatch) -> Any:
        try:
            return program(*packs)
        except self._poptorch.Error as error:
            raise ValueError(
                f"An IPU cannot run this model and configuration. PopTorch says: {error}"
            ) from error

    def set_optimizer(self, optimizer: Any) -> None:
        """Send changed rates to the IPU; before the first call they go with the program."""
        executor = self._training
        if executor is None:
            return
        if executor.isCompiled() and not executor.isAttachedToDevice():
            # First: attaching sends what was read at the detach, the rates of then included.
            executor.attachToDevice()
        executor.setOptimizer(optimizer)

    def pause_training(self) -> None:
        """Detach; the weights come to the host."""
        if _is_attached(self._training):
            self._training.detachFromDevice()
            self._ahead = False

    def pause_prediction(self) -> None:
        """Detach."""
        if _is_attached(self._prediction):
            self._prediction.detachFromDevice()

    def weights_to_host(self) -> None:
        """Read the weights back, if the IPU has newer ones."""
        if self._ahead and _is_attached(self._training):
            self._training.copyWeightsToHost()
        self._ahead = False

    def close(self) -> None:
        """Weights to the host; no trace of PopTorch is left on the module."""
        try:
            self.weights_to_host()
        finally:
            for executor in (self._prediction, self._training):
                if executor is not None:
                    executor.destroy()
            self._training = self._prediction = None
            self._unwrap()

    def _unwrap(self) -> None:
        # Nothing to do but where PopTorch has wrapped what it then could not compile: destroy()
        # leaves that as it is.
        for thing, kind in self._classes:
            if type(thing) is not kind:
                thing.__class__ = kind

    def _training_executor(self, optimizer: Any) -> Any:
        if self._training is None:
            self._graph.train()
            options = training_options(self._poptorch, self._settings)
            self._training = self._poptorch.trainingModel(self._graph, options, optimizer)
        return self._training

    def _prediction_executor(self) -> Any:
        if self._prediction is None:
            # Before it is wrapped: PopTorch looks at the mode once.
            self._graph.eval()
            options = evaluation_options(self._poptorch, self._settings)
            self._prediction = self._poptorch.inferenceModel(self._graph, options)
        return self._prediction

    def _tell_size(self, executor: Any) -> None:
        estimate = getattr(self._poptorch, "memory_estimate", None)
        if estimate is not None:
            found = estimate(executor)
            for line in found.lines():
                log.info("%s", line)
            if not found.likely_fits:
                log.warning(
                    "A smaller micro-batch would help (accelerator.micro_batch=4 batch_size=null, "
                    "with more accelerator.gradient_accumulation), and model.neighbours=knn."
                )


def _is_attached(executor: Any) -> bool:
    return executor is not None and executor.isCompiled() and executor.isAttachedToDevice()
