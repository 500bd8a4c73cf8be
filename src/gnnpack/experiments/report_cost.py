"""Memory and energy, and where every number comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

from gnnpack.experiments.report_groups import group_runs
from gnnpack.experiments.report_numbers import bytes_shown, several, shown
from gnnpack.experiments.report_section import Section, Table
from gnnpack.experiments.report_speed import machine_of

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
        sentences.append("The platform told no energy.")
    table = Table(headings, rows, folders=[group.folders for group in groups])
    return Section("Memory and energy", sentences, table)


def provenance(runs: Sequence[RunFacts]) -> Section | None:
    """Folder, commit, machine, versions and date of every run."""
    if not runs:
        return None
    known = [run for run in runs if run.record]
    commits = {commit_of(run) for run in known}
    dirty = [run for run in known if _git(run).get("dirty")]
    sentences = [
        f"{several(len(known), 'run')} of {several(len(commits), 'commit')}. Numbers above link to "
        "the runs they come from; a run's folder holds its config, metrics and checkpoints."
    ]
    if len(known) < len(runs):
        sentences.append(
            f"{several(len(runs) - len(known), 'run')} left no record: they never came to train."
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
            commit_of(run),
            machine_of(run),
            _versions(run),
            _data(run),
            str(run.folder),
        ]
        for run in runs
    ]
    table = Table(headings, rows, folders=[[run.folder] for run in runs], home=True)
    return Section("Provenance", sentences, table)


def commit_of(run: RunFacts) -> str:
    """The short commit, with a + where the checkout was not clean."""
    if not run.record:
        return "no record"
    git = _git(run)
    commit = git.get("commit")
    if not commit:
        return "no checkout"
    return str(commit)[:10] + ("+" if git.get("dirty") else "")


def _git(run: RunFacts) -> dict[str, Any]:
    git = run.record.get("git")
    return git if isinstance(git, dict) else {}


def _versions(run: RunFacts) -> str:
    versions = run.record.get("versions")
    if not isinstance(versions, dict):
        return ""
    shown_names = ("gnnpack", "python", "torch", "pytorch-lightning", "numpy")
    return ", ".join(f"{name} {versions[name]}" for name in shown_names if name in versions)


def _data(run: RunFacts) -> str:
    data = run.record.get("data")
    if not isinstance(data, dict):
        return ""
    return " ".join(str(data[key])[:12] for key in ("dataset", "checksum") if data.get(key))
