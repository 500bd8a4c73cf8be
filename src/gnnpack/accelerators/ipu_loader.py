"""The training batches of an IPU, laid out and sent by PopTorch's asynchronous loader."""

from __future__ import annotations

from typing import Any, Iterator

from gnnpack.accelerators.ipu_settings import IPUSettings, training_options
from gnnpack.batching import (
    CombinedBatches,
    EpochCalls,
    HostStep,
    PackBatch,
    PackLoader,
)


class IPULoader(PackLoader):
    """A `PackLoader` whose host steps come whole from another process.

    A sized iterable that is no torch loader: Lightning would make such a one anew, and PopTorch's
    would then combine twice. The loader of an epoch begins with the next by itself; it is made
    anew where an iteration begins elsewhere (a resumed run).

    Every call has ``settings.device_iterations`` updates, also where an epoch has fewer: the rest
    of its last call is empty packs.

    Args:
        loader: whose packs these are.
    """

    def __init__(self, loader: PackLoader, settings: IPUSettings, poptorch: Any) -> None:
        super().__init__(
            loader.source,
            loader.plan,
            packs_per_update=loader.packs_per_update,
            seed=loader.seed,
            epoch=loader.epoch,
            depth=loader.depth,
            device_iterations=settings.device_iterations,
        )
        self.device_iterations = settings.device_iterations
        self._resume_at = loader._resume_at
        loader.stand_in = self
        self._settings, self._poptorch = settings, poptorch
        self._combined: Any = None
        self._iterator: Iterator[Any] = iter(())
        self._goes_on_at: tuple[int, int] | None = None

    @property
    def empty_updates(self) -> int:
        """Updates without packs that complete an epoch's last call."""
        return -self.updates_per_epoch % (self.device_iterations or 1)

    def _steps(self, epoch: int, steps: range) -> Iterator[HostStep]:
        batches = self._batches_from(epoch, steps.start)
        for step in steps:
            fields = next(batches)
            if step == steps[-1]:
                # Said before the last is given out: nobody may ask for one behind it.
                self._goes_on_at = epoch + 1, 0
            yield self._host_step(step, PackBatch(*fields))

    def _batches_from(self, epoch: int, step: int) -> Iterator[Any]:
        goes_on, self._goes_on_at = self._goes_on_at == (epoch, step), None
        if goes_on:
            # Only now: the epoch's last batch is overwritten once its end is met.
            assert next(self._iterator, None) is None, "an epoch ends behind its last call"
        else:
            self.close()
            calls = EpochCalls(len(self), epoch, step)
            self._combined = self._make_loader(calls)
        self._iterator = iter(self._combined)
        return self._iterator

    def _host_step(self, step: int, packs: PackBatch) -> HostStep:
        first, last = self._micro_steps(step)
        each = (
            held.view(self.device_iterations or 1, -1).sum(1)[: last - first]
            for held in (packs.molecule_mask, packs.num_atoms)
        )
        return HostStep(packs, None, *(tuple(counts.tolist()) for counts in each))

    def _make_loader(self, calls: EpochCalls) -> Any:
        poptorch = self._poptorch
        return poptorch.DataLoader(
            training_options(poptorch, self._settings),
            CombinedBatches(self),
            # An item is a combined batch, made by one call.
            batch_size=None,
            drop_last=False,
            sampler=calls,
            num_workers=self._settings.num_workers,
            mode=poptorch.DataLoaderMode.Async,
        )

    def close(self) -> None:
        """End the other process."""
        if self._combined is not None:
            self._combined.terminate()
            self._combined = None
