"""Plans and columns as the loaders Lightning asks for."""

from __future__ import annotations

import logging
from typing import Any, Mapping

import pytorch_lightning as pl
import torch

from gnnpack.batching import (
    PackLoader,
    PackPlan,
    PackSource,
    ResidentColumns,
    ResidentLoader,
    choose_place,
    packs_per_update,
    resident_bytes,
)

log = logging.getLogger(__name__)


class PackedDataModule(pl.LightningDataModule):
    """Loaders over the packs of each split, the same packs for any number of ranks.

    Args:
        sources: columns of each split, all of one store.
        plans: plan of each split.
        batch_size: molecules per optimizer step, all ranks and accumulation steps together; None
            where the strategy knows its micro-batches.
        seed: of the order and composition of the training packs.
        place: ``host``: packs are filled in host memory; ``resident``: on the device, where the
            molecules then lie whole; ``auto``: resident where a GPU makes whole steps and the
            molecules fit.
        prefetch: batches made ahead of their use.
        pin_memory: page-lock batches; None = where a GPU trains.
        memory_share: part of the GPU's memory that ``auto`` lets the molecules take, in (0, 1].
    """

    def __init__(
        self,
        sources: Mapping[str, PackSource],
        plans: Mapping[str, PackPlan],
        *,
        batch_size: int | None,
        seed: int = 0,
        place: str = "auto",
        prefetch: int = 4,
        pin_memory: bool | None = None,
        memory_share: float = 0.25,
    ) -> None:
        super().__init__()
        self.sources, self.plans = dict(sources), dict(plans)
        self.batch_size = batch_size
        self.seed = seed
        self.place, self.memory_share = place, memory_share
        self.prefetch = prefetch
        self.pin_memory = pin_memory
        self._columns: ResidentColumns | None = None
        self._told = False
        self._train: PackLoader | None = None
        self._resume_at: Mapping[str, int] | None = None

    def train_dataloader(self) -> PackLoader:
        self._train = self._loader("train", shuffled=True)
        if self._resume_at is not None:
            self._train.load_state_dict(self._resume_at)
        return self._train

    def val_dataloader(self) -> PackLoader:
        return self._loader("val", shuffled=False)

    def test_dataloader(self) -> PackLoader:
        return self._loader("test", shuffled=False)

    # Lightning restores the state of loaders too late for those it has already made to count their
    # batches, so it is kept here.

    def state_dict(self) -> dict[str, Any]:
        """Where the training loader is."""
        return {} if self._train is None else {"train": self._train.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the training loader go on there."""
        self._resume_at = state_dict.get("train")
        if self._train is not None and self._resume_at is not None:
            self._train.load_state_dict(self._resume_at)

    def _trainer(self) -> pl.Trainer:
        assert self.trainer is not None, "Lightning attaches a trainer before it asks for loaders"
        return self.trainer

    def _loader(self, split: str, *, shuffled: bool) -> PackLoader:
        trainer, plan, source = self._trainer(), self.plans[split], self.sources[split]
        device = trainer.strategy.root_device
        accumulation = trainer.accumulate_grad_batches if shuffled else 1
        micro_batches = trainer.world_size * accumulation * micro_batches_of(trainer)
        options: dict[str, Any] = {
            "packs_per_update": self._packs_per_update(plan, micro_batches),
            "rank": trainer.global_rank,
            "world_size": trainer.world_size,
            "accumulation": accumulation,
            "seed": self.seed,
            "epoch": (lambda: trainer.current_epoch) if shuffled else None,
            "depth": self.prefetch,
            "device_iterations": device_iterations(trainer) if shuffled else None,
        }
        if self._placed(trainer, source) == "resident":
            return ResidentLoader(source, plan, self._columns_on(device, source), **options)
        pin = device.type == "cuda" if self.pin_memory is None else self.pin_memory
        return PackLoader(source, plan, pin_memory=pin, **options)

    def _packs_per_update(self, plan: PackPlan, micro_batches: int) -> int:
        asked: int | None = getattr(self._trainer().strategy, "micro_batch", None)
        if (asked is None) == (self.batch_size is None):
            raise ValueError(
                f"batch_size is {self.batch_size} and accelerator.micro_batch is {asked}. Set one "
                "of them, molecules an update or packs a micro-batch, and the other to null."
            )
        if asked is not None:
            return asked * micro_batches
        assert self.batch_size is not None, "one of the two is given"
        return packs_per_update(
            self.batch_size,
            num_packs=plan.num_packs,
            num_molecules=len(plan.molecules),
            multiple_of=micro_batches,
        )

    def _placed(self, trainer: pl.Trainer, source: PackSource) -> str:
        """``host`` or ``resident``; where there is a choice, the user is told once."""
        device = trainer.strategy.root_device
        whole_steps = device.type == "cuda" and device_iterations(trainer) is not None
        memory = torch.cuda.get_device_properties(device).total_memory if whole_steps else None
        place = choose_place(
            self.place,
            num_bytes=resident_bytes(source),
            device_bytes=memory,
            memory_share=self.memory_share,
        )
        if memory is not None and not self._told:
            self._told = True
            log.info(
                "loader %s: the molecules take %.3g MB of the %.3g GB on %s (auto: up to %.0f %%)",
                place,
                resident_bytes(source) / 1e6,
                memory / 1e9,
                device,
                100 * self.memory_share,
            )
        return place

    def _columns_on(self, device: torch.device, source: PackSource) -> ResidentColumns:
        if self._columns is None or self._columns.z.device != device:
            self._columns = ResidentColumns.of(source, device)
        assert len(self._columns.z) == len(source.z), "all splits are rows of one store"
        return self._columns


def device_iterations(trainer: pl.Trainer) -> int | None:
    """Updates a call of the training step makes, where the strategy makes several; None elsewhere.

    Read by name: strategies are a later room.
    """
    iterations: int | None = getattr(trainer.strategy, "device_iterations", None)
    return iterations


def micro_batches_of(trainer: pl.Trainer) -> int:
    """Micro-batches that a strategy makes one update of by itself; 1 elsewhere."""
    count: int = getattr(trainer.strategy, "micro_batches", 1)
    return count


def total_updates(trainer: pl.Trainer) -> float:
    """Optimizer steps of the whole run; infinity where it has no end."""
    # Asked first: it sets the loaders up.
    host_steps = trainer.estimated_stepping_batches
    if device_iterations(trainer) is None or trainer.max_epochs in (None, -1):
        return host_steps
    loader = trainer.train_dataloader
    assert isinstance(loader, PackLoader), "whole steps are fed by our loader"
    assert trainer.max_epochs is not None
    updates = loader.updates_of(int(trainer.num_training_batches)) * max(1, trainer.max_epochs)
    return updates if trainer.max_steps == -1 else min(updates, trainer.max_steps)
