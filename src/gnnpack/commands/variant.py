"""`variant=NAME` on a command line: one variant of a sweep's file, as a run of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, Sequence

from omegaconf import OmegaConf

VARIANT = "variant="
# Hydra hands it to the job, and a process of another rank is started with the same words.
NAME = "GNNPACK_VARIANT"
MULTIRUN = ("-m", "--multirun", "hydra.mode=MULTIRUN")


def expand_variant(words: Sequence[str]) -> list[str]:
    """The command line with the overrides of its variant in the place of ``variant=NAME``.

    What else the command line says comes before the variant, and it is one run, which learns the
    variant's name (`named_variant`). A line without ``variant=`` stays as it is.

    Raises:
        ValueError: there is no such variant, for this accelerator, no ``sweeps=NAME``, or many
            runs are wanted.
    """
    chosen = [word[len(VARIANT) :] for word in words if word.startswith(VARIANT)]
    if not chosen:
        return list(words)
    others = [word for word in words if not word.startswith(VARIANT)]
    many = [word for word in others if word in MULTIRUN]
    if many:
        raise ValueError(
            f"{VARIANT}{chosen[-1]} is one run, and {many[0]} begins many. Leave one of them out; "
            "without variant= a sweep runs all its variants."
        )
    said = {_key(word): word.partition("=")[2] for word in others}
    if len(chosen) > 1 or "sweeps" not in said:
        raise ValueError(
            f"{VARIANT}{chosen[-1]} needs one sweeps=NAME, and stands there once: "
            "python train.py sweeps=paper_ablation variant=packing"
        )
    overrides = _overrides_of(said["sweeps"], chosen[0], said.get("accelerator"))
    kept = [word for word in overrides if _key(word) not in said]
    mode = [] if "hydra.mode" in said else ["hydra.mode=RUN"]
    return [*kept, *others, *mode, f"+hydra.job.env_set.{NAME}={chosen[0]}"]


def named_variant(environment: Mapping[str, Any]) -> list[str]:
    """``variant=NAME`` of the job whose ``hydra.job.env_set`` this is, for its record; else []."""
    return [f"{VARIANT}{environment[NAME]}"] if NAME in environment else []


def read_sweep(name: str) -> dict[str, Any]:
    """A file of the group `sweeps` as plain values, not composed.

    Raises:
        ValueError: there is none of this name.
    """
    from gnnpack.commands.sweeps_group import sweep_folders

    for folder in sweep_folders():
        if (folder / f"{name}.yaml").is_file():
            return read_sweep_file(folder / f"{name}.yaml")
    known = sorted({path.stem for folder in sweep_folders() for path in folder.glob("*.yaml")})
    raise ValueError(f"There is no sweeps={name}. There are: {', '.join(known)}.")


def read_sweep_file(path: Path) -> dict[str, Any]:
    """A sweep's file as plain values, not composed."""
    found = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    assert isinstance(found, dict), "a sweep's file is a mapping"
    return {str(key): value for key, value in found.items()}


def sweeper_of(content: dict[str, Any]) -> dict[str, Any]:
    """``hydra.sweeper`` of a sweep's file."""
    return dict((content.get("hydra") or {}).get("sweeper") or {})


def option_of(content: dict[str, Any], group: str) -> str | None:
    """The option a sweep's file chooses for a config group; None if it chooses none."""
    for entry in content.get("defaults") or []:
        for key, option in entry.items() if isinstance(entry, dict) else ():
            if str(key).replace("override", "").strip().lstrip("/") == group:
                return str(option)
    return None


def _overrides_of(sweep: str, name: str, accelerator: str | None) -> list[str]:
    from gnnpack.commands.sweep_jobs import variant_overrides

    content = read_sweep(sweep)
    used = accelerator or option_of(content, "accelerator") or "auto"
    found = variant_overrides(sweeper_of(content).get("variants") or {}, used)
    if name not in found:
        there = f"There are: {', '.join(found)}." if found else "It has none."
        raise ValueError(f"sweeps={sweep} has no variant {name!r}. {there}")
    overrides = found[name]
    if overrides is None:
        raise ValueError(
            f"The variant {name} of sweeps={sweep} has nothing for accelerator={used}."
        )
    return overrides


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0].partition("@")[0]
