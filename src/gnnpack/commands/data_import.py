"""`gnnpack data import path=FILE [name=NAME] [targets={...}] ...`."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from typing import Sequence

from gnnpack.commands.data_config import compose_config, split_flags
from gnnpack.commands.errors import errors_for_people

USAGE = """Read your own molecules into a store, and say what was found.

usage: gnnpack data import path=FILE_OR_PATTERN [name=NAME] [SETTING=VALUE ...]

SETTING: any of conf/dataset/structures.yaml (targets, on_error, ...), or a key of the main config
with its own name (data_dir, cutoff). See docs/your_own_data.md."""


def main() -> None:
    """Build the store where it is not, describe it, and say how to train on it."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    flags, words = split_flags(sys.argv[1:], ("-h", "--help"))
    if flags or not words:
        print(USAGE)
        return
    with errors_for_people("gnnpack data import"):
        run(words)


def run(words: Sequence[str]) -> None:
    """All of the command; ValueError or OSError with the cure."""
    from hydra.utils import instantiate

    from gnnpack.commands.data_describe import print_description
    from gnnpack.commands.data_statistics import describe

    overrides = dataset_overrides(words)
    cfg = compose_config(overrides)
    print_description(describe(cfg))
    skipped = instantiate(cfg.dataset).skipped_path
    if skipped is not None and os.path.exists(skipped):
        print(f"left out     {skipped}")
    print(f"train        python train.py {' '.join(map(shlex.quote, overrides))}")


def dataset_overrides(words: Sequence[str]) -> list[str]:
    """Overrides of the main config: settings of the data set get its name in front.

    >>> dataset_overrides(["path=a.xyz", "cutoff=5", "targets={energy: {unit: Ha}}"])[1:]
    ['dataset.path=a.xyz', 'cutoff=5', 'dataset.targets={energy: {unit: Ha}}']
    """
    from omegaconf import OmegaConf

    from gnnpack.commands.folders import conf_dir

    own = OmegaConf.load(conf_dir() / "dataset" / "structures.yaml")
    overrides = ["dataset=structures"]
    for word in words:
        key = word.partition("=")[0].split(".")[0]
        overrides.append(f"dataset.{word}" if key in own else word)
    return overrides
