"""Searches from the command line, their trials stand-ins for training; one real search is slow."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import instantiate
from omegaconf import OmegaConf

from gnnpack.commands import search_task
from gnnpack.commands.folders import conf_dir, register_resolvers
from gnnpack.commands.search_arguments import read_arguments
from gnnpack.commands.search_task import SearchTask
from gnnpack.commands.sweep_task import SweepTask
from gnnpack.commands.sweeper import SweepOfProcesses
from gnnpack.experiments.devices import core_numbers
from gnnpack.experiments.find_runs import find_runs
from gnnpack.experiments.job import PRUNED, write_sweep
from gnnpack.experiments.run_folder import read_run
from gnnpack.experiments.search_space import Choices, Range
from gnnpack.experiments.start import Start
from gnnpack.experiments.study import KEY, SearchSettings, Study
from tests.experiments import stand_in_trial

pytest.importorskip("optuna")
ROOT = Path(__file__).resolve().parents[2]
FILE = """# @package _global_
# A search of a test
defaults:
  - override /hydra/sweeper: gnnpack_search
  - override /experiment: smoke
  - override /logger: csv
hydra:
  mode: MULTIRUN
  sweeper:
    num_trials: 3
    space:
      optimizer.lr: {low: 1.0e-4, high: 1.0e-1, log: true}
"""


def program(validations, job, folder, goes_on):
    words = [word for word in job.overrides if not word.startswith("sweeps=")]
    words += ["goes_on=1"] if goes_on else []
    return [sys.executable, stand_in_trial.__file__, str(folder), str(validations), *words]


@pytest.fixture
def search(gnnpack, folder, monkeypatch):
    """Run `gnnpack train sweeps=search ARGUMENTS` with stand-ins; the exit status."""
    (folder / "sweeps").mkdir()
    (folder / "sweeps" / "search.yaml").write_text(FILE)
    monkeypatch.setattr(SweepOfProcesses, "program", staticmethod(partial(program, 3)))

    def call(*arguments: str) -> int:
        try:
            gnnpack("train", "sweeps=search", *arguments)
        except SystemExit as ended:
            if isinstance(ended.code, str):
                raise
            return int(ended.code or 0)
        return 0

    return call


def record(folder: Path) -> dict:
    return json.loads((folder / "outputs" / "sweeps" / "search" / "study.json").read_text())


def states(folder: Path) -> list[str]:
    return [trial["state"] for trial in record(folder)["trials"]]


def test_a_search_runs_its_trials_tells_the_best_and_goes_on(search, folder, capsys):
    assert search() == 0
    sweep = folder / "outputs" / "sweeps" / "search"
    runs = find_runs([sweep])
    assert [run.state for run in runs] == ["done"] * 3
    found = record(folder)
    assert [run.key for run in runs] == [trial["key"] for trial in found["trials"]]
    first = found["trials"][0]
    assert runs[0].swept == first["params"]
    assert runs[0].summary["val_mae"] == first["value"]
    assert first["validations"] == pytest.approx(
        {str(step): first["value"] + 1 / step for step in (1, 2, 3)}
    )
    best = min(found["trials"], key=lambda trial: trial["value"])
    assert found["best"] == best["number"]
    told = capsys.readouterr().out
    assert f"optimizer.lr={best['params']['optimizer.lr']} hydra.mode=RUN" in told
    assert (sweep / "study.png").read_bytes()[:4] == b"\x89PNG"
    # Again: nothing to do; more trials: only those.
    before = [(run.folder / "state.json").stat().st_mtime_ns for run in runs]
    assert search() == 0
    assert search("hydra.sweeper.num_trials=4") == 0
    assert states(folder) == ["done"] * 4
    assert [(run.folder / "state.json").stat().st_mtime_ns for run in runs] == before


def test_a_trial_that_dies_or_has_no_number_has_failed(search, folder, capsys):
    lines = "      ++fail: {choices: [1]}\n"
    file = folder / "sweeps" / "search.yaml"
    file.write_text(FILE + lines)
    # The limit is of the start, not of each worker.
    assert search("hydra.sweeper.max_failures=2", "hydra.sweeper.workers=2") == 1
    assert "Given up after 2 failures (max_failures)." in capsys.readouterr().out
    assert states(folder) == ["failed", "failed"]
    trials = record(folder)["trials"]
    assert trials[0]["reason"] == "RuntimeError: it went wrong"
    assert read_run(folder / "outputs/sweeps/search" / trials[0]["key"]).state == "failed"
    file.write_text(FILE + "      ++nan: {choices: [1]}\n")
    assert search("hydra.sweeper.max_failures=1", "hydra.sweeper.study=other") == 1
    path = folder / "outputs" / "sweeps" / "search" / "study_other.json"
    assert json.loads(path.read_text())["trials"][0]["reason"].startswith("diverged")


def test_a_launcher_that_breaks_leaves_record_and_table(search, folder, monkeypatch, capsys):
    def broken(self, folder, jobs, task):
        # As it is sent to workers.
        assert pickle.loads(pickle.dumps(task)).settings == task.settings
        raise RuntimeError("the queue is gone")

    monkeypatch.setattr(SweepOfProcesses, "_launch", broken)
    assert search() == 1
    said = capsys.readouterr().out
    assert "no trial of 3." in said
    assert "The launcher ended before its workers: the queue is gone" in said
    assert states(folder) == []


def test_the_same_parameters_are_run_once(search, folder):
    sized = ["optimizer.lr=choice(1e-3,1e-2)", "hydra.sweeper.num_trials=5"]
    assert search(*sized, "hydra.sweeper.pruner=none") == 0
    found = record(folder)["trials"]
    assert len({trial["key"] for trial in found}) == 2
    assert {trial["value"] for trial in found} == {0.1, 1.1}
    runs = (folder / "outputs" / "sweeps" / "search").glob("*/runs.txt")
    assert [path.read_text() for path in runs] == ["run\n", "run\n"]
    # The one that was not run has the validations of the one that was.
    assert all(len(trial["validations"]) == 3 for trial in found)


def test_bad_trials_are_pruned_and_are_not_failures(search, folder):
    wide = ["optimizer.lr=tag(log,interval(1e-9,1e-1))", "hydra.sweeper.num_trials=5"]
    assert search(*wide, "hydra.sweeper.pruner_startup=1", "hydra.sweeper.sampler=random") == 0
    found = record(folder)["trials"]
    pruned = [trial for trial in found if trial["state"] == "pruned"]
    assert pruned
    assert {trial["state"] for trial in found} == {"done", "pruned"}
    # After the warm-up of one validation.
    assert len(pruned[0]["validations"]) == 2
    run = read_run(folder / "outputs" / "sweeps" / "search" / pruned[0]["key"])
    assert (run.state, dict(run.summary)) == ("pruned", {})


@pytest.mark.parametrize(
    "second",
    [
        ["hydra.sweeper.study=other", "hydra.sweeper.pruner_startup=99"],
        ["hydra.sweeper.pruner=none", "hydra.sweeper.num_trials=6"],
    ],
    ids=["another study", "no pruner any more"],
)
def test_a_pruned_run_goes_on_where_it_would_not_be_pruned(search, folder, second):
    choices = ["optimizer.lr=choice(1e-9,1e-3)", "hydra.sweeper.sampler=random"]
    assert search(*choices, "hydra.sweeper.pruner_startup=1") == 0
    # Twice or more, and run once.
    assert states(folder).count("pruned") > 1
    good, bad = sorted(
        (folder / "outputs" / "sweeps" / "search").glob("*/runs.txt"),
        key=lambda path: (path.parent / PRUNED).exists(),
    )
    assert (good.read_text(), bad.read_text()) == ("run\n", "run\n")
    by = json.loads((bad.parent / PRUNED).read_text())
    assert (by["study"], by["pruner"], by["validation"]) == ("search", "median", 2)
    assert search(*choices, *second) == 0
    assert (good.read_text(), bad.read_text()) == ("run\n", "run\ngoes on after 2\n")
    assert not (bad.parent / PRUNED).exists()
    facts = read_run(bad.parent)
    assert (facts.state, facts.summary["val_mae"]) == ("done", pytest.approx(6.1))
    name = "study_other.json" if "other" in second[0] else "study.json"
    trials = json.loads((bad.parents[1] / name).read_text())["trials"]
    assert facts.summary["val_mae"] in [trial["value"] for trial in trials]


def test_a_slower_worker_leaves_no_older_sweep_json(folder, monkeypatch):
    sweep = folder / "sweep"
    settings = SearchSettings("s", sweep, {"lr": Range(1e-4, 1e-2)}, 3)
    task = SearchTask(SweepTask(Start(3, "now", ".")), settings, [], [], None)
    study, other = Study(settings), Study(settings)
    study.note(study.take(), KEY, "one")
    threads = []

    def other_worker() -> None:
        other.note(other.take(), KEY, "two")
        task.record(other)

    def slowly(*words) -> None:
        if not threads:
            threads.append(threading.Thread(target=other_worker))
            threads[0].start()
            threads[0].join(0.5)
        write_sweep(*words)

    monkeypatch.setattr(search_task, "write_sweep", slowly)
    task.record(study)
    threads[0].join()
    assert json.loads((sweep / "sweep.json").read_text())["jobs"] == ["one", "two"]


SEARCH_OF_STAND_INS = """
import sys
from functools import partial
from gnnpack.commands.main import main
from gnnpack.commands.sweeper import SweepOfProcesses
from tests.commands.test_search_command import program
SweepOfProcesses.program = staticmethod(partial(program, 3))
sys.argv[0] = "gnnpack"
main()
"""


def test_with_one_job_at_a_time_workers_take_turns(search, folder, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    lines = ["launcher=local", "hydra.launcher.n_jobs=1", "hydra.sweeper.workers=2"]
    # In a process of its own: joblib then runs the workers in it, and Hydra's launcher changes it.
    done = subprocess.run(
        [
            *[sys.executable, "-c", SEARCH_OF_STAND_INS, "train", "sweeps=search"],
            *[*lines, "hydra.sweeper.num_trials=2"],
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "workers=2, of which hydra.launcher.n_jobs=1 run at once" in done.stdout
    assert [trial["state"] for trial in record(folder)["trials"]] == ["done"] * 2


@pytest.mark.slow
def test_workers_run_at_once_and_none_runs_another_s_trial(search, folder, capsys):
    lines = ["launcher=local", "hydra.launcher.n_jobs=2", "hydra.sweeper.workers=2"]
    assert search(*lines, "hydra.sweeper.num_trials=4", "++seconds=0.3") == 0
    found = record(folder)["trials"]
    assert [trial["state"] for trial in found] == ["done"] * 4
    runs = [read_run(folder / "outputs" / "sweeps" / "search" / one["key"]) for one in found]
    assert [(run.folder / "runs.txt").read_text() for run in runs] == ["run\n"] * 4
    if len(core_numbers()) > 1:
        assert len({run.status["device"] for run in runs}) == 2


def test_a_trial_that_cannot_be_composed_has_failed(search, folder):
    assert search("batch_size=choice(0,-1)", "hydra.sweeper.max_failures=1") == 1
    assert "batch_size is" in record(folder)["trials"][0]["reason"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["hydra.sweeper.storage=study.db"], "ends in .journal"),
        (["hydra.sweeper.metric=test_mae"], "worthless"),
        (["hydra.sweeper.workers=0"], "workers is 0"),
        (["optimizer.lr=1e-3"], "nothing to search"),
        (["batch_size=0"], "batch_size is 0"),
    ],
)
def test_a_search_that_cannot_be_begins_nothing(search, folder, arguments, message):
    with pytest.raises(SystemExit, match=message):
        search(*arguments)
    assert not list(folder.glob("outputs/sweeps/search/*/job.json"))


def test_ranges_on_the_command_line():
    parser = OverridesParser.create()
    space = {"lr": Range(1e-4, 1e-2, log=True), "width": Range(2, 8)}
    line = [
        "sweeps=x",
        "lr=1e-3",
        "a=interval(0.1,1)",
        "b=tag(log,interval(1e-4,1e-2))",
        "c=range(2,10,3)",
        "d=choice(x,y)",
        "e=1,2",
        "f=int(interval(2,9))",
        "+g=1,2",
    ]
    base, found = read_arguments(space, line, parser=parser)
    assert base == ["sweeps=x", "lr=0.001"]
    assert found == {
        "width": Range(2, 8),
        "a": Range(0.1, 1.0),
        "b": Range(1e-4, 1e-2, log=True),
        "c": Range(2, 8, step=3),
        "d": Choices(("x", "y")),
        "e": Choices(("1", "2")),
        "f": Range(2, 9),
        "+g": Choices(("1", "2")),
    }
    assert read_arguments(found, ["+g=3"], parser=parser).base == ["+g=3"]
    assert "+g" not in read_arguments(found, ["+g=3"], parser=parser).space
    assert [key for key, entry in found.items() if isinstance(entry, Range) and entry.whole] == [
        "width",
        "c",
        "f",
    ]


def test_the_example_composes_and_every_key_of_its_space_is_there(folder):
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        line = ["sweeps=schnet_search", "dataset=synthetic"]
        config = compose("config", line, return_hydra_config=True)
        sweeper = instantiate(config.hydra.sweeper)
        assert type(sweeper).__name__ == "StudySweeper"
        assert SearchSettings.__dataclass_fields__.keys() >= set(sweeper.others)
        for key, entry in sweeper.space.items():
            value = entry["choices"][0] if "choices" in entry else entry["low"]
            found = compose("config", [*line, f"{key}={value}", "hydra.mode=RUN"])
            assert OmegaConf.select(found, key) == value


@pytest.mark.slow
def test_a_real_search_is_killed_and_goes_on(folder):
    (folder / "sweeps").mkdir()
    small = {
        "dataset": "{num_molecules: 400}",
        "model": "{hidden_channels: 8, num_interactions: 1, num_gaussians: 8}",
        "trainer": "{max_epochs: 30}",
    }
    lines = "".join(f"{key}: {value}\n" for key, value in small.items())
    (folder / "sweeps" / "search.yaml").write_text(FILE + lines)
    command = [
        sys.executable,
        str(ROOT / "train.py"),
        "sweeps=search",
        "hydra.sweeper.num_trials=2",
    ]
    sweep = folder / "outputs" / "sweeps" / "search"
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 300
        while not list(sweep.glob("*/checkpoints/last.ckpt")):
            assert time.monotonic() < until, "no checkpoint in time"
            time.sleep(0.1)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    [killed] = sweep.glob("*/job.json")
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    found = record(folder)["trials"]
    assert [trial["state"] for trial in found] == ["done", "done"]
    assert found[0]["key"] == killed.parent.name
    # It went on from its checkpoint: every validation is reported once.
    assert sorted(map(int, found[0]["validations"])) == list(range(1, 31))
    assert read_run(killed.parent).summary["num_epochs"] == 30
