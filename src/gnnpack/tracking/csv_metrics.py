"""The run's metrics.csv: one file that a resumed run continues."""

from __future__ import annotations

import csv
import os
from argparse import Namespace
from pathlib import Path
from typing import Any, Mapping

from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.logger import (  # type: ignore[attr-defined]
    rank_zero_experiment,
)
from pytorch_lightning.utilities.rank_zero import (  # type: ignore[attr-defined]
    rank_zero_only,
)

from gnnpack.tracking.json_file import explain_write_error, replace_file
from gnnpack.tracking.metrics_rows import whole_lines

STEP = "step"


class MetricsFile:
    """Rows of named numbers in one CSV file; a row is on disk when ``add`` returns.

    ``resume_step`` is the number of steps the resumed run has done (steps count from 0): rows of
    step ``resume_step`` and later are dropped by the first ``add``, earlier ones kept. Without it
    an existing file is refused, never deleted.
    """

    def __init__(self, path: Path, resume_step: int | None = None) -> None:
        self.path = path
        self.columns: list[str] = [STEP]
        self._next_step = 0
        # A resumed run may still be refused, so nothing is dropped before there is a new row.
        self._kept: list[dict[str, Any]] | None = None
        if not path.exists():
            return
        if resume_step is None:
            raise ValueError(
                f"{path} exists already and this run does not resume it. "
                "Choose an empty output folder, or resume that run with resume=FOLDER."
            )
        self._kept = self._rows_before(resume_step)
        self._next_step = resume_step

    def add(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Append one row; tensors of one element become numbers, new names become columns."""
        step = self._next_step if step is None else int(step)
        self._next_step = step + 1
        row = {name: _number(value) for name, value in metrics.items()}
        row[STEP] = step
        new = sorted(set(row) - set(self.columns))
        if new or self._kept is not None or not self.path.exists():
            earlier = self.read() if self._kept is None else self._kept
            self.columns = self.columns + new
            self._rewrite([*earlier, row])
            self._kept = None
            return
        try:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, fieldnames=self.columns).writerow(row)
        except OSError as error:
            raise explain_write_error(error, self.path) from error

    def read(self) -> list[dict[str, Any]]:
        """All whole rows on disk, as text; a last line cut off by a kill is left out."""
        return list(csv.DictReader(whole_lines(self.path)))

    def _rows_before(self, resume_step: int) -> list[dict[str, Any]]:
        rows = self.read()
        names = list(rows[0]) if rows else [STEP]
        if STEP not in names:
            raise ValueError(
                f"{self.path} has no column {STEP!r} (it has {names}), so it cannot be continued. "
                "Move it away and resume again."
            )
        self.columns = names
        return [row for row in rows if int(float(row[STEP])) < resume_step]

    def _rewrite(self, rows: list[dict[str, Any]]) -> None:
        with replace_file(self.path) as file:
            writer = csv.DictWriter(file, fieldnames=self.columns)
            writer.writeheader()
            writer.writerows(rows)


class MetricsCSV(CSVLogger):
    """Lightning logger that writes exactly ``<run_dir>/metrics.csv``, and continues it on resume.

    ``resume_step``: steps done by the resumed run, in the steps of the logger (the checkpoint's
    ``global_step``, or host steps where those are logged); None for a new run.
    """

    # Lightning's CSVLogger deletes an existing file, writes hparams.yaml and a version folder;
    # so this class keeps its type and place, and does its own writing.

    def __init__(self, run_dir: str | os.PathLike[str], *, resume_step: int | None = None) -> None:
        super().__init__(save_dir=os.fspath(run_dir), name="", version="")
        self._run_dir = Path(run_dir)
        self._resume_step = resume_step
        self._file: MetricsFile | None = None

    @property
    def log_dir(self) -> str:
        """The run folder."""
        return str(self._run_dir)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The open ``MetricsFile``."""
        if self._file is None:
            try:
                self._run_dir.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise explain_write_error(error, self._run_dir) from error
            self._file = MetricsFile(self._run_dir / "metrics.csv", self._resume_step)
        return self._file

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Append one row."""
        self.experiment.add(metrics, step)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace | None = None) -> None:
        """Nothing: config.yaml holds them."""

    @rank_zero_only
    def save(self) -> None:
        """Nothing: every row is on disk already."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Nothing: the file is closed after every row."""


def _number(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
