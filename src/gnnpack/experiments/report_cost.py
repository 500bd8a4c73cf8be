"""Memory and energy, and where every number comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, Mapping, Sequence

from gnnpack.experiments.machines import machines_of
from gnnpack.experiments.report_groups import group_runs
from gnnpack.experiments.report_numbers import bytes_shown, several, shown
from gnnpack.experiments.report_section import Section, Table

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts


def memory_and_energy(runs: Sequence[RunFacts]) -> Section | None:
    """Peak memory of host and device, joules per molecule; None where nothing was measured."""
    keys = ("peak_host_bytes", "peak_device_bytes", "energy_joules_per_molecule")
    groups = [g for g in group_runs(runs) if any(g.numbers(key) for key in keys)]
    if not groups:
        return None
    sources = sorted(
        {str(run.summary["energy_source"]) for run in runs if run.summary.get("energy_source")}
    )
    sentences = ["Memory is the largest peak of the group's runs, energy their mean."]
    if sources:
        sentences.append(f"Energy is read from: {'; '.join(sources)}.")
    if any(source.startswith("RAPL") for source in sources):
        sentences.append(
            "RAPL counts whole processors, whoever uses them: runs that went on beside each other "
            "on one machine each count all of it."
        )
    headings = ["group", "peak host memory", "peak device memory"]
    rows = [
        [
            group.label,
            bytes_shown(max(group.numbers("peak_host_bytes"), default=None)),
            bytes_shown(max(group.numbers("peak_device_bytes"), default=None)),
        ]
        for group in groups
    ]
    if any(group.numbers(keys[2]) for group in groups):
        headings.append("energy (mJ/molecule)")
        for group, row in zip(groups, rows):
            joules = group.mean(keys[2])
            row.append(shown(None if joules is None else 1000 * joules, 3))
    else:
        sentences.append("No energy: the platform tells none, or the trainings were too short.")
    table = Table(headings, rows, folders=[group.folders for group in groups])
    return Section("Memory and energy", sentences, table)


def provenance(runs: Sequence[RunFacts]) -> Section | None:
    """Folder, commit, machine, versions and date of every run."""
    if not runs:
        return None
    known = [run for run in runs if run.records]
    commits = {commit for run in known for commit in commits_of(run)}
    dirty = [run for run in known if any(_git(record).get("dirty") for record in run.records)]
    resumed = [run for run in known if len(run.records) > 1]
    sentences = [
        f"{several(len(known), 'run')} of {several(len(commits), 'commit')}. Numbers above link to "
        "the runs they come from; a run's folder holds its config, metrics and checkpoints."
    ]
    if len(known) < len(runs):
        sentences.append(
            f"{several(len(runs) - len(known), 'run')} left no record: they never came to train."
        )
    if resumed:
        sentences.append(
            f"{several(len(resumed), 'run')} in several parts, resumed: commits, machines and "
            "versions of all of them are told, each once."
        )
    if dirty:
        sentences.append(
            f"Warning: {several(len(dirty), 'run')} of a checkout with uncommitted changes "
            "(commit with a +): nobody can get that code again."
        )
    headings = ["run", "started", "commit", "machine", "versions", "data", "folder"]
    rows = [
        [
            run.name,
            str(run.record.get("started") or "").replace("T", " ")[:16],
            _joined(commits_of(run)) if run.records else "no record",
            _joined(machines_of(run)),
            _joined(map(_versions, run.records)),
            _data(run),
            str(run.folder),
        ]
        for run in runs
    ]
    table = Table(headings, rows, folders=[[run.folder] for run in runs], home=True)
    return Section("Provenance", sentences, table)


def commits_of(run: RunFacts) -> list[str]:
    """The short commits of its parts, with a + where the checkout was not clean."""
    return list(dict.fromkeys(map(_commit, run.records)))


def _commit(record: Mapping[str, Any]) -> str:
    git = _git(record)
    commit = git.get("commit")
    if not commit:
        return "no checkout"
    return str(commit)[:10] + ("+" if git.get("dirty") else "")


def _git(record: Mapping[str, Any]) -> Mapping[str, Any]:
    git = record.get("git")
    return git if isinstance(git, dict) else {}


def _joined(texts: Iterable[str]) -> str:
    return " | ".join(dict.fromkeys(filter(None, texts)))


def _versions(record: Mapping[str, Any]) -> str:
    versions = record.get("versions")
    if not isinstance(versions, dict):
        return ""
    shown_names = ("gnnpack", "python", "torch", "pytorch-lightning", "numpy")
    return ", ".join(f"{name} {versions[name]}" for name in shown_names if name in versions)


def _data(run: RunFacts) -> str:
    data = run.record.get("data")
    if not isinstance(data, dict):
        return ""
    return " ".join(str(data[key])[:12] for key in ("dataset", "checksum") if data.get(key))
