"""Plans and columns as the loaders Lightning asks for."""

from __future__ import annotations

from typing import Any, Mapping

import pytorch_lightning as pl

from gnnpack.batching import PackLoader, PackPlan, PackSource, packs_per_update


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
        self._train: PackLoader | None = None
        self._resume_at: Mapping[str, int] | None = None

    def train_dataloader(self) -> PackLoader:
        accumulation = self._trainer().accumulate_grad_batches
        self._train = self._loader("train", accumulation, shuffled=True)
        if self._resume_at is not None:
            self._train.load_state_dict(self._resume_at)
        return self._train

    def val_dataloader(self) -> PackLoader:
        return self._loader("val", 1, shuffled=False)

    def test_dataloader(self) -> PackLoader:
        return self._loader("test", 1, shuffled=False)

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
