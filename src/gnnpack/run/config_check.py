"""What must hold between the parts of a config, checked before any work is done."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from gnnpack.run.finetune import check_finetune
from gnnpack.run.profiling import check_profiler

# Key -> its least value. Lightning and torch meet a wrong one far from here, in other words.
WHOLE_NUMBERS = {
    "seed": 0,
    "batch_size": 1,  # molecules
    "loader.prefetch": 0,
    "trainer.max_epochs": -1,  # -1: no limit
    "trainer.max_steps": -1,
    "trainer.accumulate_grad_batches": 1,
    "trainer.log_every_n_steps": 1,
}


def check_config(cfg: DictConfig) -> None:
    """Refuse a config that cannot run.

    Raises:
        ValueError: naming the key, its value and the cure.
    """
    missing = sorted(OmegaConf.missing_keys(cfg))
    if missing:
        raise ValueError(f"These settings have no value yet: {', '.join(missing)}. Give each one.")
    OmegaConf.resolve(cfg.copy())
    for key, least in WHOLE_NUMBERS.items():
        if key == "batch_size" and cfg.batch_size is None and _has_micro_batch(cfg):
            continue
        _check_whole_number(key, OmegaConf.select(cfg, key), least)
    for key in ("trainer.max_epochs", "trainer.limit_val_batches"):
        if OmegaConf.select(cfg, key) == 0:
            raise ValueError(
                f"{key} is 0; a run trains and chooses its best weights by validating. Use more."
            )
    check_profiler(OmegaConf.select(cfg, "trainer.profiler"))
    rate = OmegaConf.select(cfg, "optimizer.lr")
    if not isinstance(rate, (int, float)) or isinstance(rate, bool) or not rate >= 0:
        raise ValueError(f"optimizer.lr is {rate!r}; it must be a number, 0 or more.")
    if not isinstance(cfg.shape, DictConfig) and cfg.shape != "auto":
        raise ValueError(
            f"shape is {cfg.shape!r}; give shape.num_atoms=... and so on, or shape=auto."
        )
    for group in ("dataset", "model", "objective", "optimizer", "schedule", "accelerator"):
        _check_target(group, cfg[group])
    for name, node in cfg.callbacks.items():
        if node is not None:
            _check_target(f"callbacks.{name}", node)
    check_finetune(cfg)


def _has_micro_batch(cfg: DictConfig) -> bool:
    return OmegaConf.select(cfg, "accelerator.micro_batch") is not None


def _check_whole_number(key: str, value: object, least: int) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < least:  # type: ignore[operator]
        raise ValueError(f"{key} is {value!r}; it must be a whole number, {least} or more.")


def _check_target(name: str, node: DictConfig) -> None:
    # An entry without it would otherwise be skipped, or fail far from here.
    if not isinstance(node, DictConfig) or "_target_" not in node:
        raise ValueError(
            f"{name} has no _target_, the function or class it stands for. Choose an option "
            f"({name.split('.')[0]}=...), or set {name}._target_."
        )
