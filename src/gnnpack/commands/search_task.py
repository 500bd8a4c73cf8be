"""What a launcher runs for each worker of a search: take a trial, run it, tell, until enough."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass, replace
from typing import Sequence

from omegaconf import DictConfig, OmegaConf

from gnnpack.commands.errors import EXPECTED, message
from gnnpack.commands.job_list import Composer, composed, key_of
from gnnpack.commands.sweep_task import SweepTask
from gnnpack.experiments.job import JOB, Job, now, write_job, write_state, write_sweep
from gnnpack.experiments.run_folder import RunFacts, read_run
from gnnpack.experiments.run_job import is_settled, run_job
from gnnpack.experiments.search_space import typed
from gnnpack.experiments.study import KEY, SearchSettings, Study, Turn
from gnnpack.experiments.study_record import write_record
from gnnpack.experiments.study_storage import locked
from gnnpack.experiments.trial_run import trial_environment, value_of, was_pruned

# A trial's process that is told to end, not by its search, is started again; so often at most.
ATTEMPTS = 3
WAIT_SECONDS = 0.5
RECORD_LOCK = ".study.lock"


@dataclass(frozen=True)
class SearchTask:
    """A Hydra task function that workers of any launcher can import.

    Attributes:
        sweep: how a job is started, and on what.
        settings: of the search.
        base: overrides of every trial.
        command_line: as it was typed, for the record.
        compose: makes a trial's config.
    """

    sweep: SweepTask
    settings: SearchSettings
    base: Sequence[str]
    command_line: Sequence[str]
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
            with contextlib.suppress(OSError):
                print(f"{self.settings.name}: a worker ends: {error}", file=sys.stderr, flush=True)

    def run(self, study: Study, turn: Turn) -> None:
        """Run one trial as a job, and tell the study what came of it."""
        swept = {key: typed(value) for key, value in turn.params.items()}
        overrides = [*self.base, *(f"{key}={value}" for key, value in swept.items())]
        try:
            config, options = composed(self.compose, overrides)
            key = key_of(config)
        except EXPECTED as error:
            study.failed(turn, message(error))
            return
        folder = self.settings.folder / key
        study.note(turn, KEY, key)
        if not (folder / JOB).is_file():
            name = self.settings.folder.name
            job = Job(name, key, turn.number + 1, overrides, swept=swept, options=options)
            write_job(folder, job)
        self.record(study)
        self.tell(study, turn, self.run_trial(turn, config, read_run(folder)))

    def run_trial(self, turn: Turn, config: DictConfig, facts: RunFacts) -> RunFacts:
        """Bring the trial's run to its end, whoever runs it."""
        words = trial_environment(self.settings, turn.number)
        start = replace(
            self.sweep.start,
            total=self.settings.num_trials,
            environment=(*self.sweep.start.environment, *words.items()),
            study=None if self.settings.pruner == "none" else self.settings.name,
        )
        for _ in range(ATTEMPTS):
            # A process whose search was killed may have come to its end without it.
            if facts.state == "unfinished" and was_pruned(facts.folder):
                write_state(facts.folder, "pruned", ended=now())
            run_job(
                facts.folder,
                start,
                self.sweep.program,
                device=self.sweep.device(config),
                writes_summary=OmegaConf.select(config, "accelerator.connection") != "never",
            )
            facts = read_run(facts.folder)
            # Another worker's trial has the same parameters, or an orphan still runs this one.
            while facts.state == "running":
                time.sleep(WAIT_SECONDS)
                facts = read_run(facts.folder)
            # Another study may have pruned it just now.
            if facts.state == "failed" or is_settled(facts, start):
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
        folder = self.settings.folder
        # One after another: what a slower worker has read is older.
        with locked(folder / RECORD_LOCK):
            keys = write_record(study, with_importance=with_importance)
            write_sweep(folder, folder.name, keys, self.command_line, self.sweep.start.started)
