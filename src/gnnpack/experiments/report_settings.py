"""In what the runs differ, and what they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from gnnpack.experiments.comparison import seed_of
from gnnpack.experiments.report_config import ABSENT, differing, flat, telling
from gnnpack.experiments.report_groups import Group, group_runs
from gnnpack.experiments.report_numbers import several
from gnnpack.experiments.report_section import Section, Table

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts


def differences(runs: Sequence[RunFacts]) -> Section | None:
    """What differs between the groups of runs, and what is common to all."""
    groups = group_runs(runs)
    first = [next((run for run in group.runs if run.config), None) for group in groups]
    known = [(g, flat(run.config)) for g, run in zip(groups, first) if run is not None]
    if not known:
        return None
    configs = [config for _, config in known]
    names = [name for name in telling(configs, differing(configs)) if name != "seed"]
    if len(known) == 1:
        return _single(runs, configs[0])
    alike = [n for n in configs[0] if n != "seed" and n not in differing(configs)]
    sentences = [
        f"{several(len(known), 'group')} of runs with the same settings but the seed; "
        f"{several(len(names), 'setting differs', 'settings differ')} between groups, "
        f"{several(len(alike), 'is', 'are')} common to all. Options that only come along with "
        "another choice are not told apart; each run's config.yaml holds everything."
    ]
    sentences += _unknown([group for group, run in zip(groups, first) if run is None])
    table = Table(
        ["group", "runs", *names],
        [
            (group.label, str(len(group.runs)), *(config.get(n, ABSENT) for n in names))
            for group, config in known
        ],
        folders=[[run.folder for run in group.runs] for group, _ in known],
    )
    return Section("What differs", sentences, table)


def _unknown(groups: Sequence[Group]) -> list[str]:
    """Why nothing is known of the settings of some groups."""
    never = [group for group in groups if all(run.state == "missing" for run in group.runs)]
    told = [f"{several(len(never), 'group')} of runs never began."] if never else []
    if len(groups) > len(never):
        told.append(
            f"{several(len(groups) - len(never), 'group')} of runs left no config.yaml: it is "
            "written when the data are read and the packs are made."
        )
    return told


def common(runs: Sequence[RunFacts]) -> Section | None:
    """The settings all runs share, where there are several groups."""
    configs = [flat(run.config) for run in runs if run.config]
    if len(group_runs(runs)) < 2 or not configs:
        return None
    others = set(differing(configs))
    rows = [(n, v) for n, v in configs[0].items() if n not in others and n != "seed"]
    return Section("Common settings", (), Table(["setting", "value"], rows)) if rows else None


def _single(runs: Sequence[RunFacts], config: dict[str, str]) -> Section:
    seeds = sorted({seed_of(run) for run in runs if seed_of(run)})
    sentences = [
        "One run." if len(runs) == 1 else "All runs have the same settings but the seed.",
        f"Seeds: {', '.join(seeds)}." if len(seeds) > 1 else "",
    ]
    rows = list(config.items())
    return Section("Settings", [s for s in sentences if s], Table(["setting", "value"], rows))
