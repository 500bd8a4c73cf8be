"""The model of a run that begins with a checkpoint: the checkpoint's own, so nobody types it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Sequence

from omegaconf import DictConfig, OmegaConf

from gnnpack.commands.folders import conf_dir
from gnnpack.run import load_checkpoint
from gnnpack.run.beginning import checkpoint_file

# Keys of a model that data decide, not weights.
OF_THE_DATA = ("largest_molecule",)


def with_checkpoints_model(
    cfg: DictConfig, overrides: Sequence[str], model_option: str
) -> DictConfig:
    """``cfg`` with the model settings and the cutoff of ``cfg.checkpoint``, where nobody chose.

    Chosen is what the command line types, and what an experiment or sweep sets to another value
    than the option's file has. A choice that does not go with the weights is refused by the run.

    Args:
        model_option: the one ``cfg.model`` was made of, e.g. ``schnet``.

    Raises:
        ValueError: there is no such checkpoint; another class of model was typed.
    """
    if cfg.checkpoint is None:
        return cfg
    file = checkpoint_file(Path(str(cfg.checkpoint)))
    theirs = load_checkpoint(file)["gnnpack"]["config"]
    typed = {override.lstrip("+~").split("=", 1)[0].split("@")[0] for override in overrides}
    made = cfg.copy()
    if theirs["model"]["_target_"] == cfg.model._target_:
        settings = _model_settings(cfg, theirs["model"], typed, model_option)
    elif "model" in typed:
        raise ValueError(
            f"model={model_option} is {cfg.model._target_}, but {file} holds the weights of "
            f"{theirs['model']['_target_']}. Leave model= out."
        )
    else:
        settings = theirs["model"]
    OmegaConf.update(made, "model", settings, merge=False)
    if "cutoff" not in typed and cfg.cutoff == _as_written(conf_dir() / "config.yaml")["cutoff"]:
        made.cutoff = theirs["cutoff"]
    return made


def _model_settings(
    cfg: DictConfig, theirs: dict[str, Any], typed: set[str], option: str
) -> dict[str, Any]:
    given: Any = OmegaConf.to_container(cfg.model, resolve=False)
    defaults = _as_written(conf_dir() / "model" / f"{option}.yaml")

    def is_chosen(key: str) -> bool:
        # Interpolations follow the shared keys.
        if key in OF_THE_DATA or str(given[key]).startswith("${"):
            return True
        if any(name == f"model.{key}" or name.startswith(f"model.{key}.") for name in typed):
            return True
        return key in defaults and given[key] != defaults[key]

    return {**given, **theirs, **{key: given[key] for key in given if is_chosen(key)}}


def _as_written(file: Path) -> dict[str, Any]:
    """A config file with its interpolations; empty for an option that lies elsewhere."""
    if not file.is_file():
        return {}
    found: Any = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    return dict(found)
