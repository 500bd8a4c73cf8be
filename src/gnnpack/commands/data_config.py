"""The shipped config for commands that look at data alone, with a user's overrides."""

from __future__ import annotations

from typing import Sequence

from omegaconf import DictConfig


def compose_config(overrides: Sequence[str]) -> DictConfig:
    """As `gnnpack train` would compose it; Hydra's errors for overrides that do not fit."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from gnnpack.commands.folders import conf_dir, register_resolvers

    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("config", overrides=list(overrides))


def split_flags(words: Sequence[str], flags: Sequence[str]) -> tuple[set[str], list[str]]:
    """The flags among the words, and the overrides; SystemExit for another flag."""
    given = [word for word in words if word.startswith("-")]
    unknown = [word for word in given if word not in flags]
    if unknown:
        raise SystemExit(f"no option {unknown[0]}; there are {', '.join(flags)}.")
    return set(given), [word for word in words if not word.startswith("-")]
