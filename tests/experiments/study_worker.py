"""A worker of a study without jobs: FOLDER NAME NUM_TRIALS SECONDS; prints each trial it ran."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from gnnpack.experiments.search_space import read_space
from gnnpack.experiments.study import SearchSettings, Study

SPACE = {"lr": {"low": 1e-4, "high": 1e-2, "log": True}, "width": {"low": 2, "high": 8}}


def settings_of(folder: Path, num_trials: int, **others: object) -> SearchSettings:
    return SearchSettings("study", folder, read_space(SPACE), num_trials, **others)


def main(folder: Path, num_trials: int, seconds: float) -> None:
    study = Study(settings_of(folder, num_trials))
    turn = study.take()
    while turn is not None:
        print(turn.number, flush=True)
        time.sleep(seconds)
        study.done(turn, abs(turn.params["lr"] - 1e-3))
        turn.close()
        turn = study.take()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
