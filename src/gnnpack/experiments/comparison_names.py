"""What tells sets of comparable runs apart: the data, what they ran on, settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, Sequence

from gnnpack.experiments.accelerator_of import accelerator_of
from gnnpack.experiments.report_config import ABSENT, SEED, differing, flat, short_names, telling
from gnnpack.experiments.report_labels import unique
from gnnpack.experiments.report_numbers import finite, several
from gnnpack.experiments.told_apart import fewest

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts

# Runs that differ in it have no common number of molecules, nor of epochs.
SPLIT = "dataset.split.train"


def names_of(runs: Sequence[RunFacts], varied: Sequence[str]) -> list[str]:
    """A name for the comparison of each run, no two alike; "" if it is the only one.

    Data set and length of training, what they ran on if that is not the same for all, and the
    fewest settings that tell those apart whose names are still the same.

    Args:
        runs: one of each comparison.
        varied: settings in which the runs of one comparison differ.
    """
    if len(runs) == 1:
        return [""]
    names = [_place(run, with_amount=SPLIT not in varied) for run in runs]
    ran_on = [accelerator_of(run) for run in runs]
    if len(set(ran_on)) > 1:
        names = [", ".join(filter(None, both)) for both in zip(names, ran_on)]
    more = _settings(names, [_shared(run, varied) for run in runs])
    return unique([", ".join(filter(None, both)) for both in zip(names, more)])


def _place(run: RunFacts, *, with_amount: bool) -> str:
    """Data set, and how much of it was trained on if its runs share that."""
    data = run.record.get("data")
    told = data.get("dataset") if isinstance(data, Mapping) else None
    molecules = finite(run.summary.get("num_molecules"))
    epochs = finite(run.summary.get("num_epochs"))
    parts = [str(told or run.options.get("dataset") or "data set not on record")]
    if molecules is not None and with_amount:
        parts.append(f"{molecules:,.0f} molecules")
    if epochs is not None and with_amount:
        parts.append(several(int(epochs), "epoch"))
    return ", ".join(parts)


def _settings(names: Sequence[str], configs: Sequence[Mapping[str, str]]) -> list[str]:
    """Of each config the fewest settings that tell it from those of the same name."""
    found = []
    for name, config in zip(names, configs):
        same = [other for other_name, other in zip(names, configs) if other_name == name]
        keys = telling(same, differing(same))
        chosen = fewest(config, [other for other in same if other is not config], keys)
        short = short_names(keys)
        found.append(", ".join(f"{short[key]}={config.get(key, ABSENT)}" for key in chosen))
    return found


def _shared(run: RunFacts, varied: Sequence[str]) -> dict[str, str]:
    """Its flat config without the seed and what is ``varied``, nor what lies below that."""
    left_out = (SEED, *varied)
    return {
        name: value
        for name, value in flat(run.config).items()
        if not any(name == key or name.startswith(f"{key}.") for key in left_out)
    }
