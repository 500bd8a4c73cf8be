"""The jobs of a sweep, each composed and checked, before any of them begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Mapping, Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from gnnpack.commands.errors import EXPECTED, message
from gnnpack.commands.resume import refuse_resume
from gnnpack.commands.sweep_jobs import (
    Combination,
    combinations,
    variant_overrides,
    what_differs,
    with_variant,
)
from gnnpack.experiments.content_key import content_key
from gnnpack.experiments.job import Job


@dataclass
class JobList:
    """What a sweep is going to do.

    Attributes:
        jobs: one a content key, in order.
        configs: of the jobs, without hydra's part.
        told: what the user should know, a sentence each.
    """

    jobs: list[Job] = field(default_factory=list)
    configs: list[DictConfig] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


class Composer:
    """Composes a job's config as its own process will."""

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self._loader, self._master = loader, master
        self.parser = OverridesParser.create(config_loader=loader)

    def __call__(self, overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
        """The config without hydra's part, and the options of the groups."""
        composed = self._loader.load_sweep_config(self._master, list(overrides))
        choices = {
            str(group): str(option)
            for group, option in composed.hydra.runtime.choices.items()
            if "/" not in str(group) and option is not None
        }
        before = HydraConfig.instance().cfg
        # Config files may name what Hydra knows of the job.
        HydraConfig.instance().set_config(composed)
        try:
            with open_dict(composed):
                del composed["hydra"]
            OmegaConf.resolve(composed)
        finally:
            HydraConfig.instance().cfg = before
        return composed, choices


def list_jobs(
    name: str,
    params: Mapping[str, Any],
    variants: Mapping[str, Any],
    command_line: Sequence[str],
    compose: Composer,
    *,
    must_learn: bool,
) -> JobList:
    """Every variant with every combination of what is swept.

    Raises:
        ValueError: a job cannot be composed or run as it is; the job is named.
    """
    made = JobList()
    listed = combinations(params, command_line, parser=compose.parser)
    differing = what_differs([one.values for one in listed])
    wanted = list(_with_variants(listed, variants, compose, made.told))
    first: dict[str, Job] = {}
    for variant, combination, overrides in wanted:
        swept = {key: combination.values[key] for key in differing}
        label = Job(name, "", 0, [], variant, swept).label or "the job"
        config, choices, key = _composed(compose, overrides, label)
        if key in first:
            made.told.append(f"{label} is the same run as {first[key].label}; it is run once.")
            continue
        first[key] = Job(
            name, key, len(made.jobs) + 1, overrides, variant, swept, must_learn, choices
        )
        made.jobs.append(first[key])
        made.configs.append(config)
    if not made.jobs:
        raise ValueError(f"The sweep {name} has no jobs. {' '.join(made.told)}")
    return made


def _with_variants(
    listed: Sequence[Combination],
    variants: Mapping[str, Any],
    compose: Composer,
    told: list[str],
) -> Any:
    """(variant or None, combination, overrides) of every job."""
    if not variants:
        yield from ((None, one, list(one.overrides.values())) for one in listed)
        return
    accelerators: dict[str | None, str] = {}
    for name in variants:
        for one in listed:
            chosen = one.overrides.get("accelerator")
            if chosen not in accelerators:
                _, choices, _ = _composed(
                    compose, list(one.overrides.values()), f"the sweep, {name}"
                )
                accelerators[chosen] = choices["accelerator"]
            accelerator = accelerators[chosen]
            overrides = variant_overrides(variants, accelerator)[str(name)]
            if overrides is not None:
                yield str(name), one, with_variant(one, overrides, parser=compose.parser)
                continue
            sentence = (
                f"The variant {name} has nothing for accelerator={accelerator} and is left out."
            )
            if sentence not in told:
                told.append(sentence)


def _composed(
    compose: Composer, overrides: Sequence[str], label: str
) -> tuple[DictConfig, dict[str, str], str]:
    try:
        config, choices = composed(compose, overrides)
        return config, choices, key_of(config)
    except EXPECTED as error:
        raise ValueError(f"{label}: {message(error)}") from error


def composed(compose: Composer, overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """The checked config of these overrides and the options of its groups.

    Raises:
        ValueError, or another of `EXPECTED`: it cannot run.
    """
    from gnnpack.run.config_check import check_config

    config, options = compose(overrides)
    refuse_resume(config)
    check_config(config)
    return config, options


def key_of(config: DictConfig) -> str:
    """The content key of a composed config.

    Of ``checkpoint`` the file's content counts, not its path.

    Raises:
        ValueError: there is no such checkpoint.
    """
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict), "a config is a mapping"
    if plain.get("checkpoint") is not None:
        plain["checkpoint"] = _content_of(Path(str(plain["checkpoint"])))
    return content_key({str(name): value for name, value in plain.items()})


def _content_of(checkpoint: Path) -> str:
    from gnnpack.run.beginning import checkpoint_file

    file = checkpoint_file(checkpoint)
    stat = file.stat()
    return _checksum(str(file), stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=None)
def _checksum(file: str, mtime_ns: int, size: int) -> str:
    """SHA-256 of a file as it was at that time: many jobs begin with the same."""
    from gnnpack.datasets import file_checksum

    return f"sha256:{file_checksum(file)}"
