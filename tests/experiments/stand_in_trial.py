"""A program in the place of a trial's training: FOLDER VALIDATIONS KEY=VALUE ...

Its error is |log10(optimizer.lr) + 3| + 0.1 and falls to that over the validations. An override
``fail=1`` ends it by an error, ``nan=1`` leaves no number, ``goes_on=1`` begins at its checkpoint.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
import zipfile
from pathlib import Path

from gnnpack.experiments.attempts import CHECKPOINT
from gnnpack.experiments.process import die_with_parent
from gnnpack.experiments.trial_report import TrialReport
from gnnpack.experiments.trial_run import TRIAL_VARIABLE


def main(folder: Path, validations: int, words: dict[str, str]) -> None:
    die_with_parent()
    (folder / "config.yaml").write_text("seed: 0\n")
    done = last_validation(folder) if words.get("goes_on") == "1" else 0
    with (folder / "runs.txt").open("a") as file:
        file.write(f"goes on after {done}\n" if done else "run\n")
    if words.get("fail") == "1":
        raise RuntimeError("it went wrong")
    report = TrialReport(**json.loads(os.environ[TRIAL_VARIABLE]))
    error = abs(math.log10(float(words["optimizer.lr"])) + 3) + 0.1
    for step in range(1 + done, validations + 1):
        time.sleep(float(words.get("seconds", 0)))
        stop = report.should_stop(step, error + 1 / step)
        keep(folder, step)
        if stop:
            report.write_stop(folder, step, error + 1 / step)
            return
    value = None if words.get("nan") == "1" else error
    summary = {"val_mae": value, "test_mae": 2 * error, "unit": "eV"}
    (folder / "summary.json").write_text(json.dumps(summary))


def keep(folder: Path, step: int) -> None:
    (folder / CHECKPOINT).parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / CHECKPOINT, "w") as archive:
        archive.writestr("step", str(step))


def last_validation(folder: Path) -> int:
    with zipfile.ZipFile(folder / CHECKPOINT) as archive:
        return int(archive.read("step"))


if __name__ == "__main__":
    pairs = (word.split("=", 1) for word in sys.argv[3:])
    main(Path(sys.argv[1]), int(sys.argv[2]), {key.lstrip("+"): value for key, value in pairs})
