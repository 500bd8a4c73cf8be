"""What a group of runs is called by: its sweep's settings, what was typed, or what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, NamedTuple, Sequence

from gnnpack.experiments.content_key import LEFT_OUT
from gnnpack.experiments.report_config import SEED, differing, telling
from gnnpack.experiments.told_apart import alike, fewest

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts

# Beside the names of settings.
SWEEP, VARIANT, FOLDER = "sweep", "variant", "folder"
# Shown without their names.
BARE = (SWEEP, VARIANT, FOLDER)
# Of these, what options choose stands in no other key of the same name.
TOLD_OPTIONS = ("scale", "experiment", "sweeps")
ACCELERATOR = "accelerator"


class Named(NamedTuple):
    """What may stand in a group's name: ``known`` to compare by, ``shown`` to read.

    Attributes:
        typed, swept: keys of these two, in their order, a variant first.
        config: flat, without the seed.
    """

    sweep: str | None
    typed: Sequence[str]
    config: Mapping[str, str]
    known: Mapping[str, str]
    shown: Mapping[str, str]
    swept: Sequence[str]


def named(run: RunFacts, config: Mapping[str, str]) -> Named:
    """What may stand in the name of a group, of a run and its flat config without the seed."""
    typed = _typed(run)
    swept = {key: value for key, value in run.swept.items() if key != SEED}
    own = {SWEEP: run.sweep, VARIANT: run.variant, FOLDER: run.name}
    also = {key: value for key, value in own.items() if value}
    return Named(
        run.sweep,
        list(typed),
        config,
        # As typed, one value has many spellings.
        {**typed, **swept, **config, **also},
        {**config, **typed, **swept, **also},
        [VARIANT] * (VARIANT in also) + list(swept),
    )


def rivals(one: Named, groups: Sequence[Named]) -> list[Named]:
    """The groups it could be taken for: of a single run no sweep's, which are called otherwise."""
    return [other for other in groups if other is not one and (one.swept or not other.swept)]


def label_keys(groups: Sequence[Named]) -> list[list[str]]:
    """The keys of each group's name, which no other group has the same values of, if possible."""
    return [[*keys, *_more(one, groups, keys)] for one, keys in zip(groups, _first_keys(groups))]


def _first_keys(groups: Sequence[Named]) -> list[list[str]]:
    several = len({one.sweep for one in groups}) > 1
    plain = [one for one in groups if not one.swept and not (one.sweep and several)]
    asked = dict.fromkeys(key for one in plain for key in one.typed)
    found = []
    for one in groups:
        sweep = [SWEEP] if one.sweep and several else []
        if one.swept:
            found.append([*sweep, *one.swept])
        elif one.sweep and not one.config:
            # A job that never began has no description.
            found.append([*sweep, FOLDER])
        else:
            found.append(sweep or _plain_keys(one, groups, list(asked)))
    return found


def _plain_keys(one: Named, groups: Sequence[Named], asked: Sequence[str]) -> list[str]:
    """Of a run that no sweep describes: what was typed, here or for others, or what differs."""

    def differs(key: str, other: Named) -> bool:
        # Where no config was written a key that is not known may be the same.
        asked = other.config or key in other.known
        return bool(asked) and not alike(one.known, other.known, [key])

    def differ(keys: Sequence[str]) -> list[str]:
        return [key for key in keys if any(differs(key, other) for other in groups)]

    configs = [group.config for group in groups if group.config]
    by_config = telling(configs, differing(configs)) if one.config else []
    there = [key for key in asked if key in one.known]
    return differ(one.typed) or differ(there) or differ(by_config) or [FOLDER]


def _more(one: Named, groups: Sequence[Named], keys: Sequence[str]) -> list[str]:
    """The fewest settings that tell it from the groups whose values of ``keys`` are the same."""
    same = [other for other in rivals(one, groups) if alike(one.known, other.known, keys)]
    configs = [group.config for group in (one, *same)]
    if not same or not all(configs):
        return []
    # What it ran on, then what was typed, says most.
    ranked = sorted(
        telling(configs, differing(configs)),
        key=lambda key: (key != ACCELERATOR, key not in one.typed, key.count(".")),
    )
    return list(fewest(one.known, [other.known for other in same], ranked))


def _typed(run: RunFacts) -> dict[str, str]:
    """Key -> value of the overrides, without paths, cosmetics and the seed."""
    pairs = (word.lstrip("+~").partition("=") for word in run.typed)
    hidden = {SEED, VARIANT, *LEFT_OUT} - {*TOLD_OPTIONS}
    found = {key.replace("/", ".").partition("@")[0]: value for key, _, value in pairs}
    return {
        key: value
        for key, value in found.items()
        if value and key not in hidden and key.partition(".")[0] not in ("logger", "hydra")
    }
