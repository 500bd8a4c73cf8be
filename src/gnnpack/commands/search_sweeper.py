"""Hydra's sweeper of a search: workers that ask a shared study for trials and run them as jobs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Mapping

from gnnpack.commands.job_list import Composer, composed, key_of
from gnnpack.commands.launchers import is_pool, jobs_at_once
from gnnpack.commands.search_arguments import read_arguments
from gnnpack.commands.search_task import SearchTask
from gnnpack.commands.sweeper import INTERRUPTED, SweepOfProcesses
from gnnpack.experiments.job import Job
from gnnpack.experiments.search_space import read_space
from gnnpack.experiments.search_table import print_end
from gnnpack.experiments.study import SearchSettings, Study
from gnnpack.experiments.study_choices import check_choices
from gnnpack.experiments.study_storage import shown

# In the sweep's folder; hidden, because no run lies there.
WORKERS = ".workers"


class SearchOfProcesses(SweepOfProcesses):
    """Searches with Optuna until ``num_trials`` of a study are done or pruned.

    Args:
        space: key -> {low, high, log, step} or {choices: [...]}.
        num_trials: of the study, over all its starts.
        workers: trials at once of this start; more than one needs a launcher that runs them so.
        study: its name; None = the sweep's.
        others: fields of `SearchSettings` under their own names.
    """

    def __init__(
        self,
        space: Mapping[str, Any] | None = None,
        num_trials: int = 30,
        workers: int = 1,
        study: str | None = None,
        **others: Any,
    ) -> None:
        # Failures are counted by the study.
        super().__init__()
        self.space = _plain(space or {})
        self.num_trials, self.workers, self.study, self.others = num_trials, workers, study, others

    def sweep(self, arguments: list[str]) -> None:
        """Search, and tell what was found.

        Raises:
            ValueError: the search cannot be run as it is; nothing was begun.
            SystemExit: with status 1 if fewer trials came to their end, 130 after Ctrl-C.
        """
        task = self._search(arguments)
        study = Study(task.settings)
        # Failures of this start are counted from here, by every worker.
        settings = replace(task.settings, failed_before=study.count("FAIL"))
        task = replace(task, settings=settings)
        done = study.count("COMPLETE", "PRUNED")
        print(
            f"search {settings.name}: {settings.num_trials} trials, {done} of them done; "
            f"study {shown(settings.place)}",
            flush=True,
        )
        broken: Exception | None = None
        interrupted = False
        try:
            if not study.enough:
                name = settings.folder.name
                workers = range(self.workers)
                jobs = [Job(name, f"{WORKERS}/{number}", number, task.base) for number in workers]
                self._launch(settings.folder, jobs, task)
        except KeyboardInterrupt:
            interrupted = True
        except Exception as error:
            # No worker raises: a cluster has lost one, or it was killed.
            broken = error
        study = Study(settings)
        task.record(study, with_importance=True)
        print_end(study, task.base)
        if interrupted:
            raise SystemExit(INTERRUPTED)
        if broken is not None:
            print(f"The launcher ended before its workers: {broken}")
        if broken is not None or not study.enough:
            raise SystemExit(1) from broken

    def _search(self, arguments: list[str]) -> SearchTask:
        """What the workers are given; ValueError if the search cannot be."""
        if self.workers < 1:
            raise ValueError(f"hydra.sweeper.workers is {self.workers}; it must be 1 or more.")
        folder = Path(self.config.hydra.sweep.dir).absolute()
        compose = Composer(self.hydra_context.config_loader, self.config)
        base, space = read_arguments(read_space(self.space), arguments, parser=compose.parser)
        config, _ = composed(compose, base)
        settings = SearchSettings(
            name=self.study or folder.name,
            folder=folder,
            space=space,
            num_trials=self.num_trials,
            base=key_of(config),
            **self.others,
        )
        check_choices(settings)
        job = self._task(settings.num_trials)
        self._tell_of_workers()
        return SearchTask(job, settings, base, list(arguments), compose)

    def _tell_of_workers(self) -> None:
        launcher = self.config.hydra.launcher
        if self.workers > 1 and "basic" in str(launcher.get("_target_", "")):
            print(
                f"workers={self.workers} run one after another; launcher=local runs them at once."
            )
        elif is_pool(launcher) and self.workers > (jobs_at_once(launcher) or 1):
            print(
                f"workers={self.workers}, of which hydra.launcher.n_jobs={jobs_at_once(launcher)} "
                "run at once."
            )


def _plain(node: Any) -> Any:
    """Hydra's nodes as plain mappings and lists; keys with points stay one key."""
    if hasattr(node, "items"):
        return {str(key): _plain(value) for key, value in node.items()}
    if hasattr(node, "__iter__") and not isinstance(node, str):
        return [_plain(value) for value in node]
    return node
