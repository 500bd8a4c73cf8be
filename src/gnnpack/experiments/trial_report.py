"""Tell a study how a trial does while it runs, and ask whether to go on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Mapping

from gnnpack.experiments.job import PRUNED, write_whole
from gnnpack.experiments.study_choices import make_pruner
from gnnpack.experiments.study_storage import open_storage, optuna_module

log = logging.getLogger(__name__)


class TrialReport:
    """A trial, seen from its own run. A storage that does not answer costs the report alone.

    Args:
        storage: as `open_storage` takes it.
        study: its name.
        number: of the trial.
        pruner: as `make_pruner` takes it.
    """

    def __init__(self, storage: str, study: str, number: int, pruner: Mapping[str, Any]) -> None:
        self._place, self._name, self._number = storage, study, number
        self._pruner = dict(pruner)
        self._trial: Any = None

    def should_stop(self, step: int, value: float) -> bool:
        """Report validation ``step`` and return whether others were better there."""
        try:
            if self._trial is None:
                self._trial = self._open()
            reported = self._trial.storage.get_trial(self._trial._trial_id).intermediate_values
            # A run that went on from a checkpoint repeats validations; Optuna would warn.
            if step not in reported:
                self._trial.report(value, step)
            return bool(self._trial.should_prune())
        except Exception as error:
            # Data bases and their drivers fail in many ways, and none is worth the run.
            log.warning("The study %s cannot be told of a validation: %s", self._name, error)
            return False

    def write_stop(self, folder: Path, step: int, value: float) -> None:
        """Leave in a run's folder that this study stopped it after validation ``step``."""
        words = {"study": self._name, "pruner": self._pruner["name"]}
        write_whole(folder / PRUNED, {"validation": step, "val_mae": value, **words})

    def _open(self) -> Any:
        optuna = optuna_module()
        study = optuna.load_study(
            study_name=self._name,
            storage=open_storage(self._place),
            # Nothing is drawn here.
            sampler=optuna.samplers.RandomSampler(),
            pruner=make_pruner(optuna, self._pruner),
        )
        return optuna.trial.Trial(study, study.get_trials(deepcopy=False)[self._number]._trial_id)
