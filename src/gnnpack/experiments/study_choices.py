"""Which sampler draws the parameters, and which pruner stops a trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

import numpy as np

if TYPE_CHECKING:
    from gnnpack.experiments.study import SearchSettings

SAMPLERS = ("tpe", "random")
PRUNERS = ("median", "hyperband", "none")


def make_sampler(optuna: Any, settings: SearchSettings, number: int) -> Any:
    """The sampler for one trial.

    Its random numbers depend on the seed and the trial's number alone: whoever draws the trial
    draws the same from the same past, and two processes never draw the same start.
    """
    seed = int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
    if settings.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    # constant_liar: trials that others run just now count as bad, so nobody draws beside them.
    return optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=settings.startup_trials, constant_liar=True
    )


def make_pruner(optuna: Any, words: Mapping[str, Any]) -> Any:
    """The pruner with this ``name``; ``startup`` trials and ``warmup`` validations come first."""
    name = words["name"]
    if name == "median":
        # Validations count from 1, Optuna's steps from 0.
        return optuna.pruners.MedianPruner(
            n_startup_trials=words["startup"], n_warmup_steps=words["warmup"] + 1
        )
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=max(1, words["warmup"]))
    return optuna.pruners.NopPruner()


def check_choices(settings: SearchSettings) -> None:
    """Refuse settings that cannot be.

    Raises:
        ValueError: naming the setting, its value and what there is.
    """
    for name, value, known in (
        ("sampler", settings.sampler, SAMPLERS),
        ("pruner", settings.pruner, PRUNERS),
        ("direction", settings.direction, ("minimize", "maximize")),
    ):
        if value not in known:
            raise ValueError(f"hydra.sweeper.{name} is {value!r}; choose {', '.join(known)}.")
    for name, number, least in (
        ("num_trials", settings.num_trials, 1),
        ("seed", settings.seed, 0),
        ("startup_trials", settings.startup_trials, 0),
        ("pruner_startup", settings.pruner_startup, 0),
        ("pruner_warmup", settings.pruner_warmup, 0),
        ("max_failures", settings.max_failures, 1),
    ):
        if number is not None and number < least:
            raise ValueError(f"hydra.sweeper.{name} is {number}; it must be {least} or more.")
    if settings.metric.startswith("test"):
        raise ValueError(
            f"hydra.sweeper.metric is {settings.metric!r}; a search that looks at the test error "
            "makes it worthless as a test. Use val_mae."
        )
    if settings.pruner != "none" and (settings.metric, settings.direction) != (
        "val_mae",
        "minimize",
    ):
        raise ValueError(
            f"hydra.sweeper.pruner={settings.pruner} compares validation errors, and this search "
            f"is to {settings.direction} {settings.metric}. Set hydra.sweeper.pruner=none."
        )
    if not settings.space:
        raise ValueError(
            "There is nothing to search. Give hydra.sweeper.space in the sweeps file, or a range "
            "on the command line: 'optimizer.lr=tag(log,interval(1e-4,1e-2))'."
        )
