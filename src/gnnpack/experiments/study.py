"""A study that many processes share: who runs which trial, and what came of it."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping

from gnnpack.experiments.locks import take_lock
from gnnpack.experiments.search_space import Space, distributions
from gnnpack.experiments.study_choices import make_pruner, make_sampler
from gnnpack.experiments.study_storage import JOURNAL, locked, open_storage, optuna_module, shown

LOCKS = ".trials"
REASON, KEY, SPACE, BASE = "reason", "key", "space", "base"


@dataclass(frozen=True)
class SearchSettings:
    """What a search is asked to do; plain values, so that it can be sent to other processes."""

    name: str  # of the study
    folder: Path  # outputs/sweeps/NAME
    space: Space
    num_trials: int  # done or pruned; failed ones do not count
    base: str = ""  # content key of the config without the trial's parameters
    direction: str = "minimize"
    metric: str = "val_mae"  # a key of summary.json
    sampler: str = "tpe"
    seed: int = 0
    startup_trials: int = 10  # drawn at random before the sampler has something to go by
    pruner: str = "median"
    pruner_startup: int = 5  # trials that are never pruned
    pruner_warmup: int = 1  # validations before a trial may be pruned
    storage: str | None = None
    max_failures: int | None = 10  # failed trials after which this start gives up
    failed_before: int | None = None  # this start; None = those there when the study is opened

    @property
    def place(self) -> str:
        """Where the study lies, as `open_storage` takes it."""
        return str(self.folder / JOURNAL) if self.storage is None else self.storage


@dataclass
class Turn:
    """A trial that this process runs; while it is open, nobody else takes it."""

    number: int
    params: Mapping[str, Any]
    _lock: int = field(repr=False)

    def close(self) -> None:
        """Let others have it."""
        os.close(self._lock)


class Study:
    """The shared study of a search.

    A trial is taken under a lock of the sweep's folder, and each running one holds a lock of its
    own that dies with its process; so two processes never run the same trial, no more are begun
    than are wanted, and one that a killed process left behind is taken up with its parameters.
    """

    def __init__(self, settings: SearchSettings) -> None:
        self.settings = settings
        self._optuna = optuna_module()
        # Two processes would both create the tables of a new data base.
        with self._alone():
            storage = open_storage(settings.place)
            self._study = self._optuna.create_study(
                study_name=settings.name,
                storage=storage,
                direction=settings.direction,
                load_if_exists=True,
            )
            self._check_same()
        before = settings.failed_before
        self._failed_before = self.count("FAIL") if before is None else before

    def take(self) -> Turn | None:
        """The next trial for this process; None when enough are done, begun or failed."""
        with self._alone():
            left = self._left_behind()
            if left is not None:
                return left
            if self.enough or self.failed_too_often:
                return None
            if self.count("COMPLETE", "PRUNED", "RUNNING") >= self.settings.num_trials:
                return None
            number = len(self.trials)
            self._study.sampler = make_sampler(self._optuna, self.settings, number)
            trial = self._study.ask(distributions(self.settings.space))
            lock = take_lock(self._lock_of(trial.number))
            assert lock is not None, "nobody can hold a trial that was just made"
            return Turn(trial.number, dict(trial.params), lock)

    def done(self, turn: Turn, value: float) -> None:
        """The trial's run ended with this value."""
        self._tell(turn, value)

    def pruned(self, turn: Turn) -> None:
        """The trial's run was stopped because others were better."""
        self._tell(turn, None, "PRUNED")

    def failed(self, turn: Turn, reason: str) -> None:
        """The trial's run died, or has no value."""
        self.note(turn, REASON, reason)
        self._tell(turn, None, "FAIL")

    def note(self, turn: Turn, name: str, value: str) -> None:
        """Keep a word with the trial."""
        self._study._storage.set_trial_user_attr(self._id(turn.number), name, value)

    def copy_reports(self, turn: Turn, key: str) -> None:
        """Give the trial the validations of an earlier one with the same parameters."""
        for other in self.trials:
            if other.number == turn.number or other.user_attrs.get(KEY) != key:
                continue
            for step, value in other.intermediate_values.items():
                self._study._storage.set_trial_intermediate_value(
                    self._id(turn.number), step, value
                )
            return

    @property
    def trials(self) -> list[Any]:
        """All trials as Optuna's FrozenTrial, in the order they were begun."""
        return list(self._study.get_trials(deepcopy=False))

    @property
    def enough(self) -> bool:
        """Whether as many trials are done or pruned as were asked for."""
        return self.count("COMPLETE", "PRUNED") >= self.settings.num_trials

    @property
    def failed_too_often(self) -> bool:
        """Whether ``max_failures`` trials failed since this start."""
        most = self.settings.max_failures
        return most is not None and self.count("FAIL") - self._failed_before >= most

    @property
    def best(self) -> Any | None:
        """The best done trial; None as long as there is none."""
        return None if self.count("COMPLETE") == 0 else self._study.best_trial

    def importance(self) -> dict[str, float]:
        """How much each parameter decides the value, summing to 1; {} where nothing can be said."""
        if self.count("COMPLETE") < 4 or len(self.settings.space) < 2:
            return {}
        try:
            # The default of older versions needs scikit-learn.
            evaluator = self._optuna.importance.PedAnovaImportanceEvaluator()
            found = self._optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        except (RuntimeError, ValueError):
            # All values equal, or a parameter that never varied.
            return {}
        return {name: float(part) for name, part in found.items() if math.isfinite(part)}

    def _tell(self, turn: Turn, value: float | None, state: str | None = None) -> None:
        told = None if state is None else self._optuna.trial.TrialState[state]
        # Another process may have told it, where the sweep's folder is not shared.
        self._study.tell(turn.number, value, state=told, skip_if_finished=True)

    def _left_behind(self) -> Turn | None:
        """A trial that a killed process was running; one without all parameters is given up."""
        for trial in self.trials:
            if trial.state.name != "RUNNING":
                continue
            lock = take_lock(self._lock_of(trial.number), patience=0.0)
            if lock is None:
                continue
            turn = Turn(trial.number, dict(trial.params), lock)
            if set(trial.params) == set(self.settings.space):
                return turn
            self.failed(turn, "its process was killed before all parameters were drawn")
            turn.close()
        return None

    def _check_same(self) -> None:
        settings = self.settings
        where = f"The study {settings.name} in {shown(settings.place)}"
        cure = "Give this search a name of its own, hydra.sweeper.study=NAME, or undo the change."
        if self._study.direction.name.lower() != settings.direction:
            raise ValueError(
                f"{where} is to {self._study.direction.name.lower()} its value, and this search to "
                f"{settings.direction}. {cure}"
            )
        kept = self._study.user_attrs
        now = {SPACE: {key: repr(entry) for key, entry in settings.space.items()}}
        now[BASE] = {"key": settings.base, "metric": settings.metric}
        for name, value in now.items():
            if name not in kept:
                self._study.set_user_attr(name, value)
            elif kept[name] != value:
                said = "searches " + "; ".join(f"{k} in {v}" for k, v in kept[name].items())
                raise ValueError(
                    f"{where} {said if name == SPACE else 'was begun with other settings'}, so its "
                    f"values cannot be compared with those of this start. {cure}"
                )
        self._study.pruner = make_pruner(self._optuna, pruner_words(settings))

    def count(self, *states: str) -> int:
        """How many trials are in these states (COMPLETE, PRUNED, FAIL, RUNNING)."""
        return sum(trial.state.name in states for trial in self.trials)

    def _id(self, number: int) -> int:
        return int(self.trials[number]._trial_id)

    def _lock_of(self, number: int) -> Path:
        return self.settings.folder / LOCKS / f"{self.settings.name}_{number}"

    def _alone(self) -> Any:
        (self.settings.folder / LOCKS).mkdir(parents=True, exist_ok=True)
        return locked(self.settings.folder / LOCKS / f"{self.settings.name}_study")


def pruner_words(settings: SearchSettings) -> dict[str, Any]:
    """The pruner's settings as `make_pruner` takes them."""
    return {
        "name": settings.pruner,
        "startup": settings.pruner_startup,
        "warmup": settings.pruner_warmup,
    }
