"""One start of a sweep, as those who run its jobs know it."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from gnnpack.experiments.go_ahead import is_taken_away


@dataclass(frozen=True)
class Start:
    """One start of a sweep, as far as its jobs must know.

    Attributes:
        total: jobs of the sweep.
        started: when, as state.json writes it.
        cwd: folder that programs run in.
        redo: jobs that were done before ``started`` begin anew.
        max_failures: no job begins after so many of this start failed; None = no limit.
        keys: of the jobs whose failures count for ``max_failures``.
        started_by: process id of the sweep, where it or children of it run its jobs.
        go_ahead: a file, where there is one, that is there until Ctrl-C of that parent.
        flags: Hydra's own, which every job's command line ends with.
        environment: what a job's process is told beside what every one is.
        study: the study whose pruned runs are left as they are; None = they all go on.
    """

    total: int
    started: str
    cwd: str
    redo: bool = False
    max_failures: int | None = None
    keys: tuple[str, ...] = ()
    started_by: int | None = None
    go_ahead: str | None = None
    flags: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    study: str | None = None

    def told_to_end(self) -> int | None:
        """In a process that runs jobs: the signal by which they must end; None = they go on."""
        if self.go_ahead is not None and is_taken_away(self.go_ahead):
            return signal.SIGINT
        # Else the sweep was killed, and its workers were not.
        goes_on = self.started_by in (None, os.getpid(), os.getppid())
        return None if goes_on else signal.SIGTERM

    def is_over(self) -> bool:
        """In a process that runs jobs: whether the sweep has been killed or interrupted."""
        return self.told_to_end() is not None
