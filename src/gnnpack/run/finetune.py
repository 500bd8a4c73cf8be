"""The settings of a run that begins with a checkpoint's weights: ``finetune``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

HEADS = ("keep", "new")
CURE = "Give checkpoint=PATH: a run folder, or a .ckpt in its checkpoints/."


@dataclass(frozen=True)
class FineTuning:
    """The keys of ``finetune``, read with ``checkpoint`` alone.

    Args:
        head: ``keep`` the checkpoint's output layers, or begin with ``new`` ones.
        freeze: names of blocks that stay as they are.
        body_lr: learning rate of all but the head, over the optimizer's.
        from_scratch: begin with random weights in the checkpoint's model: the run to compare with.

    Raises:
        ValueError: naming the key, its value and the cure.
    """

    head: str = "keep"
    freeze: tuple[str, ...] = ()
    body_lr: float = 1.0
    from_scratch: bool = False

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise ValueError(f"finetune.head is {self.head!r}; choose one of {', '.join(HEADS)}.")
        rate = self.body_lr
        number = isinstance(rate, (int, float)) and not isinstance(rate, bool)
        if not number or not 0 < rate < math.inf:
            raise ValueError(
                f"finetune.body_lr is {rate!r}; it is a factor of optimizer.lr, above 0. "
                "finetune.freeze keeps blocks as they are."
            )
        if not isinstance(self.from_scratch, bool):
            raise ValueError(f"finetune.from_scratch is {self.from_scratch!r}; use true or false.")
        if self.from_scratch and self.freeze:
            raise ValueError(
                f"finetune.from_scratch is true and finetune.freeze is {_shown(self.freeze)}: "
                "those blocks would stay random. Leave out one of the two."
            )
        if self.head == "new" and "head" in self.freeze:
            raise ValueError(
                f"finetune.head is new and finetune.freeze is {_shown(self.freeze)}: the head "
                "would stay random. Leave out one of the two."
            )

    @classmethod
    def of(cls, cfg: DictConfig) -> FineTuning:
        """What a config says; the defaults where it is older than these keys."""
        node = OmegaConf.select(cfg, "finetune")
        if node is None:
            return cls()
        found: Any = OmegaConf.to_container(node, resolve=True)
        return cls(**{**found, "freeze": _names(found["freeze"])})


def check_finetune(cfg: DictConfig) -> None:
    """Refuse settings of ``finetune`` that make no sense, or that nothing would read.

    Raises:
        ValueError: naming the key, its value and the cure.
    """
    given, plain = FineTuning.of(cfg), FineTuning()
    if OmegaConf.select(cfg, "checkpoint") is not None or given == plain:
        return
    told = ", ".join(
        f"finetune.{key} is {_shown(value)}"
        for key, value in vars(given).items()
        if value != getattr(plain, key)
    )
    raise ValueError(
        f"{told}, but there are no weights to begin with. {CURE} To begin with random ones, leave "
        "out experiment=finetune and the keys of finetune."
    )


def _names(freeze: Any) -> tuple[str, ...]:
    """``none``, one name or a list of names; numbers are names too."""
    if freeze is None or freeze == "none":
        return ()
    return tuple(str(name) for name in (freeze if isinstance(freeze, list) else [freeze]))


def _shown(value: Any) -> str:
    return f"[{','.join(value)}]" if isinstance(value, tuple) else str(value)
