"""The weights a run begins with: random, or a checkpoint's, of which some may be frozen."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Mapping

from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from gnnpack.datasets import file_checksum
from gnnpack.run.checkpoint import load_checkpoint
from gnnpack.run.finetune import CURE, FineTuning
from gnnpack.training import Taken, blocks_of, freeze_blocks, head_of, take_weights

log = logging.getLogger(__name__)

MODULE = "model."
"""What the names of a model's tensors begin with in a checkpoint."""


class Beginning:
    """What a run's weights are before its first update, and which of them it trains.

    Args:
        resumed: the checkpoint a run goes on from: it has the weights and tells their origin, so
            the one the run once began with need not be there any more.

    Attributes:
        record: ``{"pretrained": where the weights came from}`` for the run's own checkpoints and
            run.json, plain values; empty for a run that begins with random ones.

    Raises:
        ValueError: there is no such checkpoint, or it cannot be used.
    """

    def __init__(self, cfg: DictConfig, resumed: Path | None = None) -> None:
        self._tuning, self._cfg = FineTuning.of(cfg), cfg
        self._weights: Mapping[str, Tensor] | None = None
        self._theirs: Mapping[str, Any] = {}
        self.record: dict[str, Any] = {}
        path = OmegaConf.select(cfg, "checkpoint")
        if path is None:
            return
        if resumed is not None:
            origin = load_checkpoint(resumed)["gnnpack"].get("pretrained")
            self.record = {} if origin is None else {"pretrained": origin}
        elif not self._tuning.from_scratch:
            self._open(checkpoint_file(Path(str(path))))

    def _open(self, file: Path) -> None:
        checkpoint = load_checkpoint(file)
        self._theirs = checkpoint["gnnpack"]
        before = self._theirs["config"]["cutoff"]
        now = OmegaConf.select(self._cfg, "model.cutoff", default=self._cfg.cutoff)
        if before != now:
            # No tensor's shape would tell.
            raise ValueError(
                f"cutoff is {now:g}, but the network of {file} was trained with {before:g}: its "
                f"filters are of distances up to that. Leave it out, or set cutoff={before:g}."
            )
        self._weights = {
            name[len(MODULE) :]: tensor
            for name, tensor in checkpoint["state_dict"].items()
            if name.startswith(MODULE)
        }
        self.record = {"pretrained": origin_of(file, checkpoint)}

    def prepare(self, model: nn.Module, record: Mapping[str, Any]) -> None:
        """Give the model its weights, freeze what stays, and tell both.

        Args:
            record: what the checkpoints of the run will tell of it.

        Raises:
            ValueError: the checkpoint is of another model, there is no such block, or a frozen
                embedding lacks elements.
        """
        if self._tuning.from_scratch:
            log.info("begins with random weights in the model of %s", self._cfg.checkpoint)
        if not self.record:
            return
        if self._weights is not None:
            new = self._new_elements(record)
            taken = self._take(model, self._weights)
            self._tell(taken, record, new)
        freeze_blocks(model, self._tuning.freeze)
        _tell_trained(model, self._tuning)

    def _take(self, model: nn.Module, weights: Mapping[str, Tensor]) -> Taken:
        but = [head_of(model)] if self._tuning.head == "new" else []
        try:
            return take_weights(model, weights, but=but)
        except ValueError as error:
            raise ValueError(
                f"{self.record['pretrained']['path']} holds the weights of another model. "
                f"{differences(self._cfg, self._theirs['config'])}Of its tensors, {error}. Leave "
                "the model's settings out to take those of the checkpoint; finetune.head=new "
                "begins with output layers of its own."
            ) from error

    def _new_elements(self, record: Mapping[str, Any]) -> str:
        """Elements that only the present data have, in words."""
        from ase.data import chemical_symbols

        numbers = sorted(set(record["elements"]) - set(self._theirs["elements"]))
        new = ", ".join(chemical_symbols[number] for number in numbers)
        if new and "embedding" in self._tuning.freeze:
            raise ValueError(
                f"The checkpoint's model has never seen {new}, and finetune.freeze keeps the "
                "embedding of these elements as it is: random. Leave embedding out of "
                "finetune.freeze, or these molecules out of the data."
            )
        return new

    def _tell(self, taken: Taken, record: Mapping[str, Any], new: str) -> None:
        facts = self.record["pretrained"]
        log.info(
            "begins with %d tensors of %s: %s of %s, %s updates",
            len(taken.taken),
            facts["path"],
            facts["target"],
            facts["dataset"],
            f"{facts['updates']:,}",
        )
        if taken.new:
            log.info("begins new, not from the checkpoint: %s", ", ".join(taken.new))
        if taken.left:
            log.info("begins without these of the checkpoint: %s", ", ".join(taken.left))
        log.info("begins with the mean, deviation and reference energies of the present data")
        for key in ("target", "unit", "readout"):
            if self._theirs[key] != record[key]:
                before, now = self._theirs[key], record[key]
                log.warning("The checkpoint's %s was %s; now it is %s.", key, before, now)
        if new:
            log.warning(
                "The checkpoint's model has never seen %s; what it knows of them begins random.",
                new,
            )


def _tell_trained(model: nn.Module, tuning: FineTuning) -> None:
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    log.info(
        "trains %s of %s parameters; frozen: %s; rate of the body: %g of optimizer.lr",
        f"{sum(size for size, trained in sizes if trained):,}",
        f"{sum(size for size, _ in sizes):,}",
        ", ".join(tuning.freeze) or f"none of {', '.join(blocks_of(model))}",
        tuning.body_lr,
    )


def checkpoint_file(path: Path) -> Path:
    """The file that ``checkpoint=PATH`` names: of a run folder the best.

    Raises:
        ValueError: there is none.
    """
    file = path / "checkpoints" / "best.ckpt" if path.is_dir() else path
    if not file.is_file():
        raise ValueError(f"checkpoint={path}: there is no {file}. {CURE}")
    return file


def origin_of(file: Path, checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Where weights came from, plain values."""
    record = checkpoint["gnnpack"]
    return {
        "path": str(file),
        "sha256": file_checksum(str(file)),
        "version": record["version"],
        "dataset": str(record["config"]["dataset"]["_target_"]).rpartition(".")[2],
        "data_fingerprint": record["data_fingerprint"],
        "target": record["target"],
        "unit": record["unit"],
        "elements": list(record["elements"]),
        "updates": int(checkpoint["global_step"]),
    }


def differences(cfg: DictConfig, theirs: Mapping[str, Any]) -> str:
    """A sentence of the model settings in which a config differs from a checkpoint's, or none."""
    ours: Any = OmegaConf.to_container(cfg.model, resolve=True)
    before = theirs["model"]
    found = [
        f"model.{key} is {ours.get(key)!r} here and {before.get(key)!r} in the checkpoint"
        for key in sorted({*ours, *before})
        if ours.get(key) != before.get(key)
    ]
    return f"{'; '.join(found)}. " if found else ""
