"""Spaces, storages and studies: what is searched, and how many processes share it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from tests.experiments.study_worker import settings_of

from gnnpack.experiments.search_space import Choices, Range, distributions, read_space, typed
from gnnpack.experiments.study import SearchSettings, Study
from gnnpack.experiments.study_choices import check_choices
from gnnpack.experiments.study_record import study_record, write_record
from gnnpack.experiments.study_storage import JOURNAL, open_storage, optuna_module, shown
from gnnpack.experiments.trial_report import TrialReport
from gnnpack.experiments.trial_run import TRIAL_VARIABLE, trial_environment

optuna = pytest.importorskip("optuna")
WORKER = Path(__file__).with_name("study_worker.py")


def start_worker(folder: Path, num_trials: int, seconds: float) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(WORKER), str(folder), str(num_trials), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=WORKER.parents[2],
    )


def run_all(study: Study, value=lambda turn: turn.params["lr"]) -> list[int]:
    numbers = []
    turn = study.take()
    while turn is not None:
        study.done(turn, value(turn))
        turn.close()
        numbers.append(turn.number)
        turn = study.take()
    return numbers


def test_a_space_is_read_and_told_to_optuna():
    space = read_space(
        {
            "optimizer.lr": {"low": 1.0e-4, "high": 1.0e-2, "log": True},
            "cutoff": {"low": 4.0, "high": 6.3, "step": 0.5},
            "model.hidden_channels": {"low": 32, "high": 100, "step": 32},
            "packer": {"choices": ["lpfhp", None, [1, 2]]},
        }
    )
    assert space["optimizer.lr"] == Range(1e-4, 1e-2, log=True)
    assert space["packer"] == Choices(("lpfhp", "null", "[1,2]"))
    found = distributions(space)
    # What no step reaches is cut off here, not by Optuna with a warning.
    assert (found["cutoff"].low, found["cutoff"].high) == (4.0, 6.0)
    assert (found["model.hidden_channels"].low, found["model.hidden_channels"].high) == (32, 96)
    assert isinstance(found["model.hidden_channels"], optuna.distributions.IntDistribution)


def test_a_fraction_is_never_typed_as_a_whole_number():
    # limit_train_batches=1 is one batch.
    space = read_space({"trainer.limit_train_batches": {"choices": [0.5, 1.0]}})
    assert space["trainer.limit_train_batches"] == Choices(("0.5", "1.0"))
    for value in (1.0, -2.0, 1e6, 123456.0, 0.9999999, 1e-7, 5e20):
        read = OverridesParser.create().parse_override(f"x={typed(value)}").value()
        assert isinstance(read, float), typed(value)
    assert typed(64) == "64"


def test_what_optuna_calls_experimental_is_not_told():
    # Warnings are errors here.
    optuna_module().samplers.BruteForceSampler()


@pytest.mark.parametrize(
    "entry, message",
    [
        ({"low": 1}, r"space\.x is .*give \{low"),
        ({"low": 2, "high": 1}, "from 2 to 1"),
        ({"low": 0.0, "high": 1.0, "log": True}, "above 0"),
        ({"low": 0, "high": 4, "step": 0.5}, "whole"),
        ({"low": "1e-3", "high": 1.0}, "with a point"),
        ({"low": 0.1, "high": 1.0, "log": True, "step": 0.1}, "without log"),
        ({"choices": []}, "give a list"),
        ({"choices": [1, 1]}, "once"),
        ([1, 2], "give {low"),
    ],
)
def test_a_space_that_cannot_be_is_refused(entry, message):
    with pytest.raises(ValueError, match=message):
        read_space({"x": entry})


@pytest.mark.parametrize(
    "others, message",
    [
        ({"sampler": "grid"}, "choose tpe, random"),
        ({"pruner": "always"}, "choose median, hyperband, none"),
        ({"metric": "test_mae"}, "worthless"),
        ({"metric": "epoch_seconds"}, "pruner=none"),
        ({"direction": "up"}, "minimize"),
        ({"max_failures": 0}, "1 or more"),
        ({"space": {}}, "nothing to search"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, others, message):
    words = {"space": read_space({"x": {"choices": [1, 2]}}), "num_trials": 3, **others}
    with pytest.raises(ValueError, match=message):
        check_choices(SearchSettings("s", tmp_path, **words))


@pytest.mark.parametrize("base", [None, "sqlite:///{}/study.db"])
def test_two_share_a_study_and_never_a_trial(tmp_path, base):
    storage = None if base is None else base.format(tmp_path)
    settings = settings_of(tmp_path, 5, storage=storage)
    one, two = Study(settings), Study(settings)
    first, second = one.take(), two.take()
    assert {first.number, second.number} == {0, 1}
    assert first.params != second.params
    one.done(first, 1.0)
    first.close()
    # Three more are begun, none above the number that is wanted.
    assert run_all(two) == [2, 3, 4]
    assert one.take() is None
    one.done(second, 0.5)
    second.close()
    assert one.enough
    assert one.best.number in range(5)
    assert len(one.trials) == 5


def test_a_killed_worker_s_trial_is_taken_up_with_its_parameters(tmp_path):
    settings = settings_of(tmp_path, 2)
    killed = Study(settings).take()
    assert Study(settings).take().number == 1
    # What the system does when a process dies.
    killed.close()
    again = Study(settings).take()
    assert (again.number, again.params) == (killed.number, killed.params)


def test_a_trial_that_was_killed_while_it_was_drawn_has_failed(tmp_path):
    study = Study(settings_of(tmp_path, 1))
    study._study.ask()
    turn = study.take()
    assert turn.number == 1
    assert study_record(study)["trials"][0]["state"] == "failed"


def test_who_draws_a_trial_does_not_matter(tmp_path):
    alone = Study(settings_of(tmp_path / "a", 6))
    run_all(alone)
    shared = [Study(settings_of(tmp_path / "b", 6)) for _ in range(2)]
    for number in range(6):
        turn = shared[number % 2].take()
        shared[number % 2].done(turn, turn.params["lr"])
        turn.close()
    drawn = [[trial.params for trial in study.trials] for study in (alone, shared[0])]
    assert drawn[0] == drawn[1]


def test_failures_do_not_count_and_are_limited(tmp_path):
    study = Study(settings_of(tmp_path, 3, max_failures=2))
    for _ in range(2):
        turn = study.take()
        study.failed(turn, "out of memory")
        turn.close()
    assert study.take() is None
    assert study.failed_too_often
    # A new start counts anew, and all three are still to be done.
    assert len(run_all(Study(settings_of(tmp_path, 3, max_failures=2)))) == 3
    record = study_record(study)
    assert [trial["reason"] for trial in record["trials"][:2]] == ["out of memory"] * 2


def test_another_question_is_not_mixed_into_a_study(tmp_path):
    Study(settings_of(tmp_path, 3, base="a"))
    for others in ({"base": "b"}, {"base": "a", "direction": "maximize"}):
        with pytest.raises(ValueError, match=r"hydra\.sweeper\.study=NAME"):
            Study(settings_of(tmp_path, 3, **others))
    other = SearchSettings("study", tmp_path, {"lr": Range(1e-5, 1.0)}, 3, base="a")
    with pytest.raises(ValueError, match=r"searches lr in .*width in"):
        Study(other)
    Study(settings_of(tmp_path, 8, base="a"))


@pytest.mark.parametrize(
    "place, message",
    [
        ("study.db", r"ends in \.journal"),
        ("sqlite:////no/such/folder/study.db", "existing folder"),
        ("nonsense://here", "cannot be opened"),
        ("mysql://me:secret@nowhere/x", "driver|cannot be opened"),
    ],
)
def test_a_storage_that_cannot_be_opened_says_why(place, message):
    with pytest.raises(ValueError, match=message) as refused:
        open_storage(place)
    assert "secret" not in str(refused.value)


def test_a_password_is_not_shown():
    assert shown("mysql://me:secret@host/x") == "mysql://me@host/x"
    assert shown("sqlite:///a.db") == "sqlite:///a.db"


def test_a_journal_whose_last_line_was_cut_off_goes_on(tmp_path):
    settings = settings_of(tmp_path, 3)
    study = Study(settings)
    turn = study.take()
    study.done(turn, 1.0)
    turn.close()
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(b'{"op_code": 4, "worker')
    assert run_all(Study(settings)) == [1, 2]


def test_processes_share_a_journal(tmp_path):
    workers = [start_worker(tmp_path, 12, 0.02) for _ in range(3)]
    ran = [int(line) for worker in workers for line in worker.communicate(timeout=60)[0].split()]
    assert sorted(ran) == list(range(12))
    assert Study(settings_of(tmp_path, 12)).enough


def test_kill_9_of_a_worker_loses_no_trial_and_no_time(tmp_path):
    killed = start_worker(tmp_path, 4, 60.0)
    assert killed.stdout.readline().strip() == "0"
    killed.kill()
    killed.communicate()
    other = start_worker(tmp_path, 4, 0.0)
    ran = [int(line) for line in other.communicate(timeout=60)[0].split()]
    # The killed one's is taken up first.
    assert ran == [0, 1, 2, 3]


def report_of(settings: SearchSettings, number: int) -> TrialReport:
    return TrialReport(**json.loads(trial_environment(settings, number)[TRIAL_VARIABLE]))


def test_a_trial_worse_than_the_median_is_pruned_at_the_same_validation(tmp_path):
    settings = settings_of(tmp_path, 9, pruner_startup=2, pruner_warmup=1)
    study = Study(settings)
    for value in (1.0, 2.0):
        turn = study.take()
        report = report_of(settings, turn.number)
        assert not any(report.should_stop(step, value) for step in (1, 2, 3))
        study.done(turn, value)
        turn.close()
    bad = study.take()
    report = report_of(settings, bad.number)
    assert [report.should_stop(step, 5.0) for step in (1, 2)] == [False, True]
    # A run that went on from a checkpoint says the same again, from another process.
    assert report_of(settings, bad.number).should_stop(2, 5.0)
    study.pruned(bad)
    bad.close()
    good = study.take()
    report = report_of(settings, good.number)
    assert not any(report.should_stop(step, 0.5) for step in (1, 2, 3))
    record = study_record(study)
    assert record["trials"][2]["state"] == "pruned"
    assert record["trials"][2]["validations"] == {"1": 5.0, "2": 5.0}
    assert record["trials"][0]["validations"] == {"1": 1.0, "2": 1.0, "3": 1.0}


def test_a_storage_that_is_gone_costs_the_report_and_not_the_run(tmp_path, caplog):
    settings = settings_of(tmp_path, 1, storage="sqlite:////no/such/folder/x.db")
    assert report_of(settings, 0).should_stop(1, 1.0) is False
    assert "cannot be told" in caplog.text


def test_importance_needs_no_more_than_optuna(tmp_path):
    study = Study(settings_of(tmp_path, 12, sampler="random"))
    run_all(study, lambda turn: abs(turn.params["lr"] - 1e-3))
    write_record(study, with_importance=True)
    record = json.loads((tmp_path / f"study_{study.settings.name}.json").read_text())
    assert set(record["importance"]) == {"lr", "width"}
    assert sum(record["importance"].values()) == pytest.approx(1.0)
    assert record["importance"]["lr"] > record["importance"]["width"]
    best = record["trials"][record["best"]]
    assert best["value"] == min(trial["value"] for trial in record["trials"])
