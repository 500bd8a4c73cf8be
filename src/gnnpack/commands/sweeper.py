"""Hydra's sweeper of this program: folders that tell what is done, and a process a job."""

from __future__ import annotations

import contextlib
import copy
import os
from pathlib import Path
from typing import Any, Mapping, Sequence

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from gnnpack.commands.job_list import Composer, JobList, list_jobs
from gnnpack.commands.launchers import (
    has_scheduler,
    hydra_flags,
    is_pool,
    job_environment,
    jobs_at_once,
    lacking,
    refuse_tasks,
)
from gnnpack.commands.sweep_jobs import quoted
from gnnpack.commands.sweep_task import SweepTask, command
from gnnpack.experiments.go_ahead import go_ahead, go_ahead_file
from gnnpack.experiments.job import Job, now, write_job, write_sweep
from gnnpack.experiments.run_folder import RunFacts, read_run
from gnnpack.experiments.run_job import SETTLED, is_settled
from gnnpack.experiments.start import Start
from gnnpack.experiments.sweep_table import print_table
from gnnpack.experiments.told import heard_or_not

# As shells tell an end by Ctrl-C.
INTERRUPTED = 130


class SweepOfProcesses(Sweeper):
    """Runs every job of a sweep that is not done, whatever becomes of the others.

    Args:
        params: key -> values, as Hydra's own sweeper takes them.
        variants: name -> overrides, or name -> accelerator -> overrides.
        must_learn: a job whose test error is not below the training mean's has failed.
        redo: begin the jobs that are done anew.
        max_failures: begin no more jobs after so many have failed; None = no limit.
    """

    hydra_context: HydraContext
    config: DictConfig
    # Tests put a program of their own in its place.
    program = staticmethod(command)

    def __init__(
        self,
        params: Mapping[str, Any] | None = None,
        variants: Mapping[str, Any] | None = None,
        must_learn: bool = False,
        redo: bool = False,
        max_failures: int | None = None,
    ) -> None:
        self.params = params or {}
        self.variants = variants or {}
        self.must_learn, self.redo, self.max_failures = must_learn, redo, max_failures

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what Hydra gives; jobs run in processes of their own, not by ``task_function``."""
        self.hydra_context, self.config = hydra_context, config

    def sweep(self, arguments: list[str]) -> None:
        """List the jobs, launch those that are not done, and tell.

        Raises:
            ValueError: a job cannot be run as it is; nothing was begun.
            SystemExit: with status 1 if a job is not done at the end, 130 after Ctrl-C.
        """
        folder = Path(self.config.hydra.sweep.dir).absolute()
        compose = Composer(self.hydra_context.config_loader, self.config)
        listed = list_jobs(
            folder.name,
            self.params,
            self.variants,
            arguments,
            compose,
            must_learn=self.must_learn,
        )
        task = self._task(len(listed.jobs), [job.key for job in listed.jobs])
        _write(folder, listed, arguments, task.start.started)
        left = [
            job for job in listed.jobs if not _is_left_out(read_run(folder / job.key), task.start)
        ]
        _announce(folder, listed, len(left))
        try:
            if left:
                self._launch(folder, left, task)
        except KeyboardInterrupt:
            _end(folder, listed)
            raise SystemExit(INTERRUPTED) from None
        except Exception as error:
            # No job raises: a cluster has lost one, or a worker was killed.
            _end(folder, listed)
            print(f"The launcher ended before its jobs: {error}")
            raise SystemExit(1) from error
        if not all(one.state in SETTLED for one in _end(folder, listed)):
            raise SystemExit(1)

    def _task(self, total: int, keys: Sequence[str] = ()) -> SweepTask:
        """What the launcher's workers are given."""
        launcher = self.config.hydra.launcher
        refuse_tasks(launcher)
        folder = Path(self.config.hydra.sweep.dir).absolute()
        start = Start(
            total=total,
            started=now(),
            cwd=os.getcwd(),
            redo=self.redo,
            max_failures=self.max_failures,
            keys=tuple(keys),
            # Its workers outlive a sweep that is killed, and end with one that is interrupted.
            started_by=os.getpid() if is_pool(launcher) else None,
            go_ahead=str(go_ahead_file(folder)) if is_pool(launcher) else None,
            flags=hydra_flags(self.config),
            environment=job_environment(),
        )
        return SweepTask(start, jobs_at_once(launcher), has_scheduler(launcher), self.program)

    def _launch(self, folder: Path, jobs: Sequence[Job], task: TaskFunction) -> None:
        config = copy.deepcopy(self.config)
        OmegaConf.set_readonly(config.hydra, False)
        with open_dict(config):
            config.hydra.sweep.dir = str(folder)
            # The launchers list the jobs; every job says itself that it begins.
            config.hydra.hydra_logging.root.level = "WARNING"
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self.hydra_context, task_function=task, config=config
        )
        waits = is_pool(self.config.hydra.launcher)
        with go_ahead(go_ahead_file(folder)) if waits else contextlib.nullcontext():
            try:
                launcher.launch([launched(folder, job) for job in jobs], initial_job_idx=0)
            except ImportError as error:
                raise lacking(self.config.hydra.launcher, error) from error


def launched(folder: Path, job: Job) -> list[str]:
    """The overrides by which Hydra makes a job's folder, without a log of its own in it."""
    return [
        *job.overrides,
        f"hydra.sweep.dir={quoted(str(folder))}",
        f"hydra.sweep.subdir={quoted(job.key)}",
        "hydra.job_logging.root.handlers=[console]",
        "~hydra.job_logging.handlers.file",
    ]


def _is_left_out(facts: RunFacts, start: Start) -> bool:
    return facts.state == "running" or is_settled(facts, start)


def _write(folder: Path, listed: JobList, arguments: Sequence[str], started: str) -> None:
    for job in listed.jobs:
        write_job(folder / job.key, job)
    keys = [job.key for job in listed.jobs]
    write_sweep(folder, folder.name, keys, arguments, started)


def _end(folder: Path, listed: JobList) -> list[RunFacts]:
    """Print the table; returns what became of the jobs."""
    facts = [read_run(folder / job.key) for job in listed.jobs]
    with heard_or_not():
        print_table(listed.jobs, facts, folder)
    return facts


def _announce(folder: Path, listed: JobList, left: int) -> None:
    for sentence in listed.told:
        print(sentence)
    there = len(listed.jobs) - left
    others = f", {there} of them done or run elsewhere" if there else ""
    jobs = f"{len(listed.jobs)} job{'s' if len(listed.jobs) != 1 else ''}"
    print(f"sweep {folder.name}: {jobs}{others}; folder {folder}", flush=True)
