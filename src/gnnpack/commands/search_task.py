"""What a launcher runs for each worker of a search: take a trial, run it, tell, until enough."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Sequence

from omegaconf import DictConfig, OmegaConf

from gnnpack.commands.errors import EXPECTED, message
from gnnpack.commands.sweep_plan import Composer, key_of
from gnnpack.commands.sweep_task import SweepTask, wants_group
from gnnpack.experiments.job import JOB, Job, now, write_job, write_state, write_sweep
from gnnpack.experiments.run_folder import RunFacts, read_run
from gnnpack.experiments.run_job import run_job
from gnnpack.experiments.run_state import ENDS
from gnnpack.experiments.search_space import typed
from gnnpack.experiments.study import KEY, SearchSettings, Study, Turn
from gnnpack.experiments.study_record import write_record
from gnnpack.experiments.trial_run import trial_environment, value_of, was_pruned

# A trial's process that is told to end, not by its search, is started again; so often at most.
ATTEMPTS = 3
WAIT_SECONDS = 0.5


@dataclass(frozen=True)
class SearchTask:
    """A Hydra task function that workers of any launcher can import.

    Attributes:
        sweep: how a job is started, and on what.
        settings: of the search.
        base: overrides of every trial.
        typed: the command line, for the record.
        compose: makes a trial's config.
    """

    sweep: SweepTask
    settings: SearchSettings
    base: Sequence[str]
    typed: Sequence[str]
    compose: Composer

    def __call__(self, cfg: DictConfig) -> None:
        """Run trials until there is none left to take; what goes wrong ends this worker alone."""
        try:
            study = Study(self.settings)
            turn = study.take()
            while turn is not None:
                try:
                    self.run(study, turn)
                finally:
                    turn.close()
                self.record(study)
                turn = study.take()
        except Exception as error:
            print(f"{self.settings.name}: a worker ends: {error}", file=sys.stderr, flush=True)

    def run(self, study: Study, turn: Turn) -> None:
        """Run one trial as a job, and tell the study what came of it."""
        swept = {key: typed(value) for key, value in turn.params.items()}
        overrides = [*self.base, *(f"{key}={value}" for key, value in swept.items())]
        try:
            config, options = composed(self.compose, overrides)
        except EXPECTED as error:
            study.failed(turn, message(error))
            return
        key = key_of(config)
        folder = self.settings.folder / key
        study.note(turn, KEY, key)
        if not (folder / JOB).is_file():
            name = self.settings.folder.name
            job = Job(name, key, turn.number + 1, overrides, swept=swept, options=options)
            write_job(folder, job)
        self.record(study)
        self.tell(study, turn, self.run_process(turn, config, read_run(folder)))

    def run_process(self, turn: Turn, config: DictConfig, facts: RunFacts) -> RunFacts:
        """Bring the trial's run to its end, whoever runs it."""
        words = trial_environment(self.settings, turn.number)
        start = replace(
            self.sweep.start,
            total=self.settings.num_trials,
            environment=tuple(words.items()),
        )
        group = self.sweep.group if wants_group(config) else None
        for _ in range(ATTEMPTS):
            # A process whose search was killed may have come to its end without it.
            if facts.state == "unfinished" and was_pruned(facts.folder):
                write_state(facts.folder, "pruned", ended=now())
            run_job(
                facts.folder,
                start,
                partial(self.sweep.program, group=group),
                device=self.sweep.device(config),
                writes_summary=OmegaConf.select(config, "accelerator.connection") != "never",
            )
            facts = read_run(facts.folder)
            # Another worker's trial has the same parameters, or an orphan still runs this one.
            while facts.state == "running":
                time.sleep(WAIT_SECONDS)
                facts = read_run(facts.folder)
            if facts.state in ENDS:
                break
        return facts

    def tell(self, study: Study, turn: Turn, facts: RunFacts) -> None:
        """What came of the run; a run without a number has failed."""
        value = value_of(facts, self.settings.metric)
        study.copy_reports(turn, facts.folder.name)
        if facts.state == "pruned":
            study.pruned(turn)
        elif facts.state == "done" and value is not None:
            study.done(turn, value)
        elif facts.state == "done":
            study.failed(turn, f"diverged: its summary has no {self.settings.metric}")
        else:
            study.failed(turn, facts.reason or f"ended {facts.state}")

    def record(self, study: Study, *, with_importance: bool = False) -> None:
        """Write study.json and sweep.json as they are now."""
        keys = write_record(study, with_importance=with_importance)
        folder = self.settings.folder
        write_sweep(folder, folder.name, keys, self.typed, self.sweep.start.started)


def composed(compose: Composer, overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """The checked config of these overrides and the options of its groups.

    Raises:
        ValueError, or another of `EXPECTED`: it cannot run.
    """
    from gnnpack.run.config_check import check_config

    config, options = compose(overrides)
    if config.get("resume") is not None:
        raise ValueError(
            "resume= goes on with one run in its own folder and cannot be part of a search. "
            "The same command again goes on with the search itself."
        )
    check_config(config)
    return config, options
