"""Plans and columns as the loaders Lightning asks for."""

from __future__ import annotations

from typing import Mapping

import pytorch_lightning as pl

from gnnpack.batching import PackLoader, PackSource, packs_per_update
from gnnpack.packing import PackPlan

SPLITS = ("train", "val", "test")


class PackedDataModule(pl.LightningDataModule):
    """Loaders over the packs of each split, the same packs for any number of ranks.

    Args:
        sources: columns of each split.
        plans: plan of each split.
        batch_size: molecules per optimizer step, all ranks and accumulation steps together.
        seed: of the order and composition of the training packs.
        prefetch: batches made ahead of their use.
        pin_memory: page-lock batches; None = where a GPU trains.
    """

    def __init__(
        self,
        sources: Mapping[str, PackSource],
        plans: Mapping[str, PackPlan],
        *,
        batch_size: int,
        seed: int = 0,
        prefetch: int = 4,
        pin_memory: bool | None = None,
    ) -> None:
        super().__init__()
        self.sources, self.plans = dict(sources), dict(plans)
        self.batch_size = batch_size
        self.seed = seed
        self.prefetch = prefetch
        self.pin_memory = pin_memory

    def train_dataloader(self) -> PackLoader:
        return self._loader("train", self._trainer().accumulate_grad_batches, shuffled=True)

    def val_dataloader(self) -> PackLoader:
        return self._loader("val", 1, shuffled=False)

    def test_dataloader(self) -> PackLoader:
        return self._loader("test", 1, shuffled=False)

    def _trainer(self) -> pl.Trainer:
        assert self.trainer is not None, "Lightning attaches a trainer before it asks for loaders"
        return self.trainer

    def _loader(self, split: str, accumulation: int, *, shuffled: bool) -> PackLoader:
        trainer, plan = self._trainer(), self.plans[split]
        on_gpu = trainer.strategy.root_device.type == "cuda"
        return PackLoader(
            self.sources[split],
            plan,
            packs_per_update=packs_per_update(
                self.batch_size,
                num_packs=plan.num_packs,
                num_molecules=len(plan.molecules),
                multiple_of=trainer.world_size * accumulation,
            ),
            rank=trainer.global_rank,
            world_size=trainer.world_size,
            accumulation=accumulation,
            seed=self.seed,
            epoch=(lambda: trainer.current_epoch) if shuffled else None,
            depth=self.prefetch,
            pin_memory=on_gpu if self.pin_memory is None else self.pin_memory,
        )
