"""Learning-rate schedules over updates, as Lightning takes them.

Each has the signature (optimizer, *, total_updates, own options) and starts from the optimizer's
own learning rate, which is the highest one it reaches: the rate is typed in one place.
"""

from __future__ import annotations

from typing import Any, Mapping

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau


def constant(optimizer: Optimizer, *, total_updates: float) -> None:
    """The optimizer's own rate, always."""


def one_cycle(
    optimizer: Optimizer,
    *,
    total_updates: float,
    warmup: float = 0.3,
    start_factor: float = 0.04,
    final_factor: float = 1e-5,
) -> Mapping[str, Any]:
    """Up to the optimizer's rate over a part of the run, down to almost 0 by its end (1708.07120).

    Args:
        warmup: part of the updates that go up, in (0, 1).
        start_factor: first rate over the highest.
        final_factor: last rate over the highest.
    """
    _check_part("schedule.warmup", warmup)
    schedule = OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=_finite(total_updates),
        pct_start=warmup,
        div_factor=1 / start_factor,
        final_div_factor=start_factor / final_factor,
        # Momentum would be cycled too, against Adam's own settings.
        cycle_momentum=False,
    )
    return {"scheduler": schedule, "interval": "step", "frequency": 1}


def cosine(
    optimizer: Optimizer, *, total_updates: float, final_factor: float = 0.01
) -> Mapping[str, Any]:
    """From the optimizer's rate down along half a cosine (1608.03983, without restarts).

    Args:
        final_factor: last rate over the first.
    """
    lowest = optimizer.param_groups[0]["lr"] * final_factor
    schedule = Cosine(optimizer, T_max=_finite(total_updates), eta_min=lowest)
    return {"scheduler": schedule, "interval": "step", "frequency": 1}


class Cosine(CosineAnnealingLR):
    """torch's, whose one lowest rate is the first group's: the others fall in its proportion."""

    def get_lr(self) -> list[Any]:
        """Rates of this update by group."""
        rates: list[Any] = [*super().get_lr()]
        first = self.base_lrs[0]
        return [rates[0] * (base / first) for base in self.base_lrs] if first else rates


def plateau(
    optimizer: Optimizer,
    *,
    total_updates: float,
    factor: float = 0.8,
    patience: int = 25,
    min_lr: float = 1e-6,
    monitor: str = "val/mae",
) -> Mapping[str, Any]:
    """Lower the rate when the validation error has not fallen for ``patience`` epochs.

    The defaults are those of SchNetPack's QM9 benchmark. ``min_lr`` is the first group's; the
    others' lie below it as their rates do.
    """
    rates = [group["lr"] for group in optimizer.param_groups]
    lowest = [min_lr * (rate / rates[0]) if rates[0] else min_lr for rate in rates]
    schedule = ReduceLROnPlateau(optimizer, factor=factor, patience=patience, min_lr=lowest)
    return {"scheduler": schedule, "interval": "epoch", "frequency": 1, "monitor": monitor}


def _finite(total_updates: float | None) -> int:
    if total_updates is None or not 0 < total_updates < float("inf"):
        raise ValueError(
            f"This schedule needs a run of known length, but it has {total_updates} updates. Set "
            "trainer.max_epochs or trainer.max_steps, or use schedule=plateau or schedule=constant."
        )
    return int(total_updates)


def _check_part(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} is {value}; it must lie between 0 and 1.")
