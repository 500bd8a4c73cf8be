"""A run that a search stops, and what it leaves."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from gnnpack.experiments.job import PRUNED
from gnnpack.experiments.prune_trial import trial_callbacks
from gnnpack.experiments.run_state import STATES
from gnnpack.experiments.search_space import read_space
from gnnpack.experiments.study import SearchSettings, Study
from gnnpack.experiments.trial_run import TRIAL_VARIABLE, trial_environment, was_pruned
from gnnpack.run import run

pytest.importorskip("optuna")


@pytest.fixture
def trial(tmp_path, monkeypatch):
    """Make this process the run of a trial after one done trial with this error throughout."""

    def trial(error: float) -> Study:
        space = read_space({"optimizer.lr": {"low": 1e-4, "high": 1e-2}})
        settings = SearchSettings(
            "s", tmp_path / "study", space, 9, pruner_startup=1, pruner_warmup=0
        )
        study = Study(settings)
        done = study.take()
        for step in range(1, 9):
            identity = study.trials[done.number]._trial_id
            study._study._storage.set_trial_intermediate_value(identity, step, error)
        study.done(done, error)
        done.close()
        turn = study.take()
        for name, value in trial_environment(settings, turn.number).items():
            monkeypatch.setenv(name, value)
        return study

    return trial


def test_a_trial_worse_than_others_stops_at_its_first_validation(small, tmp_path, trial):
    study = trial(0.0)
    folder = tmp_path / "run"
    assert run(small("trainer.max_epochs=4"), folder) == {}
    assert was_pruned(folder)
    assert "pruned" in STATES
    assert list(study.trials[1].intermediate_values) == [1]
    kept = json.loads((folder / PRUNED).read_text())
    assert kept["val_mae"] == pytest.approx(study.trials[1].intermediate_values[1])
    assert (kept["study"], kept["pruner"]) == ("s", "median")
    # It ended tidily: its checkpoint and rows are there, no test was run.
    assert (folder / "checkpoints" / "last.ckpt").is_file()
    header = (folder / "metrics.csv").read_text().splitlines()[0]
    assert "val/mae" in header
    assert "test/mae" not in header
    assert not (folder / "summary.json").exists()


def test_a_pruned_run_that_goes_on_ends_as_if_it_had_not_been(small, tmp_path, trial, monkeypatch):
    trial(0.0)
    settings = ["trainer.max_epochs=3"]
    assert run(small(*settings), tmp_path / "run") == {}
    monkeypatch.delenv(TRIAL_VARIABLE)
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    found = run(small(*settings), tmp_path / "run", checkpoint=last)
    whole = run(small(*settings), tmp_path / "whole")
    for name in ("num_epochs", "val_mae", "test_mae"):
        assert found[name] == whole[name]


def test_a_good_trial_reports_every_validation_once_and_goes_to_its_end(small, tmp_path, trial):
    study = trial(1e9)
    folder = tmp_path / "run"
    summary = run(small("trainer.max_epochs=3"), folder)
    assert summary["num_epochs"] == 3
    assert not was_pruned(folder)
    reported = study.trials[1].intermediate_values
    assert list(reported) == [1, 2, 3]
    assert min(reported.values()) == pytest.approx(summary["val_mae"])


def test_validations_within_an_epoch_are_counted_over_all(small, tmp_path, trial):
    study = trial(1e9)
    run(small("trainer.max_epochs=2", "trainer.val_check_interval=0.5"), tmp_path / "run")
    assert list(study.trials[1].intermediate_values) == [1, 2, 3, 4]


def test_a_diverged_trial_is_an_error_and_not_told_to_the_study(trial):
    study = trial(0.0)
    [callback] = trial_callbacks()
    trainer = SimpleNamespace(
        sanity_checking=False,
        state=SimpleNamespace(fn="fit"),
        callback_metrics={"val/mae": float("nan")},
        global_step=7,
    )
    with pytest.raises(ValueError, match=r"diverged: val/mae is nan after 7 updates"):
        callback.on_validation_end(trainer, None)
    assert study.trials[1].intermediate_values == {}


def test_other_runs_know_nothing_of_it(small, tmp_path):
    run(small("trainer.max_epochs=1"), tmp_path / "run")
    assert not (tmp_path / "run" / PRUNED).exists()
