from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_runs import make_run, make_runs

from gnnpack.experiments.find_runs import find_runs
from gnnpack.experiments.run_folder import read_run
from gnnpack.experiments.run_state import STATES

JOB = {"sweep": "s", "key": "k" * 12, "swept": {"seed": 3}, "variant": "padding", "options": {}}
LEARNT = {"test_mae": 0.1, "baseline_mae": 0.2, "unit": "eV"}
NOT_LEARNT = {"test_mae": 0.2, "baseline_mae": 0.2, "unit": "eV"}


def folder_of(path: Path, **files: object) -> Path:
    """A folder with NAME.json of each given name."""
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / f"{name}.json").write_text(json.dumps(content))
    return path


@pytest.fixture
def held(tmp_path):
    """Holds the lock of a folder, as a job's process does."""
    files = []

    def hold(folder: Path) -> None:
        files.append((folder / ".lock").open("w"))
        fcntl.flock(files[-1], fcntl.LOCK_EX)

    yield hold
    for file in files:
        file.close()


def test_a_folder_that_is_not_there_is_a_missing_run(tmp_path):
    run = read_run(tmp_path / "abc")
    assert (run.state, run.name, run.reason) == ("missing", "abc", None)
    assert run.config == run.record == run.summary == run.metrics == {}


@pytest.mark.parametrize("end", ["done", "failed", "pruned"])
def test_a_job_that_ended_is_what_its_end_was(tmp_path, held, end):
    folder = folder_of(tmp_path, job=JOB, state={"state": end, "reason": "why"}, summary=LEARNT)
    assert (read_run(folder).state, read_run(folder).reason) == (end, "why")
    # A process that the job left behind may hold its lock.
    held(folder)
    assert read_run(folder).state == end


def test_a_job_runs_as_long_as_its_lock_is_held(tmp_path, held):
    folder = folder_of(tmp_path, job=JOB, state={"state": "running"})
    assert read_run(folder).state == "unfinished"
    assert not (folder / ".lock").exists(), "looking makes no lock"
    (folder / ".lock").touch()
    assert read_run(folder).state == "unfinished"
    held(folder)
    assert read_run(folder).state == "running"
    assert read_run(folder, mine=True).state == "unfinished"


def test_what_an_earlier_attempt_told_last_is_not_what_a_running_one_does(tmp_path, held):
    state = {"state": "running", "started": "2026-03-01T12:00:00+00:00"}
    began = datetime.fromisoformat(state["started"]).timestamp()
    folder = folder_of(tmp_path, job=JOB, state=state, live={"time": began - 1, "epoch": 3})
    assert read_run(folder).live["epoch"] == 3
    held(folder)
    assert read_run(folder).live == {}
    assert read_run(folder_of(tmp_path, live={"time": began + 1, "epoch": 4})).live["epoch"] == 4


def test_looking_at_a_lock_leaves_it_free(tmp_path):
    folder = folder_of(tmp_path, job=JOB, state={"state": "running"})
    with (folder / ".lock").open("w") as file:
        read_run(folder)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_job_that_has_not_begun_is_missing(tmp_path):
    assert read_run(folder_of(tmp_path, job=JOB)).state == "missing"
    (tmp_path / "output.log").touch()
    assert read_run(tmp_path).state == "unfinished"


def test_a_job_that_outlived_its_sweep_is_done_when_it_has_a_summary(tmp_path, held):
    folder = folder_of(tmp_path, job=JOB, state={"state": "running"}, summary=LEARNT)
    assert read_run(folder).state == "done"
    held(folder)
    assert read_run(folder).state == "running"


def test_an_interrupted_job_tells_why(tmp_path):
    folder = folder_of(tmp_path, job=JOB, state={"state": "running", "reason": "interrupted"})
    assert (read_run(folder).state, read_run(folder).reason) == ("unfinished", "interrupted")


def test_a_job_that_must_learn_and_did_not_has_failed(tmp_path):
    must, done = {**JOB, "must_learn": True}, {"state": "done"}
    run = read_run(folder_of(tmp_path, job=must, state=done, summary=NOT_LEARNT))
    assert run.state == "failed"
    assert run.reason == "did not learn: test MAE 0.2 is not below 0.2 of the training mean"
    assert read_run(folder_of(tmp_path, summary=LEARNT)).state == "done"
    assert read_run(folder_of(tmp_path, job=JOB, summary=NOT_LEARNT)).state == "done"


def test_what_job_json_says_is_text(tmp_path):
    run = read_run(folder_of(tmp_path, job=JOB))
    assert (run.sweep, run.key, run.variant, run.swept) == ("s", "k" * 12, "padding", {"seed": "3"})


def test_a_run_whose_training_failed_is_told_so_at_once(tmp_path, held):
    live = {"phase": "failed", "time": time.time(), "updates": 7}
    folder = folder_of(tmp_path / "one", live=live)
    assert read_run(folder).state == "failed"
    assert read_run(folder_of(folder, live={**live, "time": 1e9})).state == "failed"
    assert read_run(folder_of(folder, live={**live, "reason": "why"})).reason == "why"
    assert read_run(folder_of(folder, live={**live, "phase": "stopped"})).state == "unfinished"
    assert read_run(folder_of(folder, summary=LEARNT)).state == "done"
    # Whether a job is begun again is its sweep's matter.
    job = folder_of(tmp_path / "job", job=JOB, state={"state": "running"}, live=live)
    assert read_run(job).state == "unfinished"
    held(job)
    assert read_run(job).state == "running"


def test_what_was_typed_names_the_variant_of_a_single_run(tmp_path):
    words = ["packer=lpfhp", "sweeps=paper_ablation", "variant=packing"]
    run = read_run(folder_of(tmp_path / "one", run={"argv": words}))
    assert (run.variant, run.sweep, list(run.typed)) == ("packing", None, words)
    killed = folder_of(tmp_path / "two", live={"time": 1e9})
    (killed / "overrides.yaml").write_text("".join(f"- {word}\n" for word in words))
    assert read_run(killed).variant == "packing"
    job = folder_of(tmp_path / "three", job={**JOB, "variant": None}, run={"argv": words})
    assert read_run(job).variant is None
    assert read_run(folder_of(tmp_path / "four", run={"argv": 3})).variant is None


def test_a_single_run_is_done_running_or_unfinished(tmp_path):
    assert read_run(folder_of(tmp_path / "new", run={})).state == "unfinished"
    now = time.time()
    assert read_run(folder_of(tmp_path / "on", live={"time": now - 30})).state == "running"
    assert read_run(folder_of(tmp_path / "off", live={"time": now - 90})).state == "unfinished"
    done = folder_of(tmp_path / "done", live={"time": now}, summary=NOT_LEARNT)
    assert read_run(done).state == "done"


@pytest.mark.parametrize("text", ["", "{", '{"test_mae": 0.1', "[1]", "null", "\0\0"])
def test_a_damaged_summary_is_told_and_is_none(tmp_path, text):
    folder = folder_of(tmp_path, run={})
    (folder / "summary.json").write_text(text)
    run = read_run(folder)
    assert (run.state, run.summary) == ("unfinished", {})
    assert run.reason is not None
    assert run.reason.startswith("summary.json is damaged: ")


def test_metrics_are_columns_of_numbers(tmp_path):
    (tmp_path / "metrics.csv").write_bytes(
        b"step,train/loss,val/mae\r\n0,0.5,\r\n1,nan,0.25\r\n\r\n2,oops\r\n3,0.125,0.0"
    )
    metrics = read_run(tmp_path).metrics
    assert list(metrics) == ["step", "train/loss", "val/mae"]
    # The last row was cut off: 0.0 may have been 0.01.
    np.testing.assert_array_equal(metrics["step"], [0, 1, 2])
    np.testing.assert_array_equal(metrics["train/loss"], [0.5, np.nan, np.nan])
    np.testing.assert_array_equal(metrics["val/mae"], [np.nan, 0.25, np.nan])
    assert {column.dtype for column in metrics.values()} == {np.dtype(float)}


@pytest.mark.parametrize("text", ["", "step,a", "step,a\n", "\0\0\0"])
def test_metrics_without_a_whole_row_are_none(tmp_path, text):
    (tmp_path / "metrics.csv").write_text(text)
    assert read_run(tmp_path).metrics == {}


FILES = ("job.json", "state.json", "summary.json", "run.json", "live.json", "metrics.csv")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from([*FILES, "config.yaml", "sweep.json"]),
    part=st.floats(0, 1),
    noise=st.binary(max_size=20),
)
def test_whatever_is_cut_or_damaged_the_run_is_read(tmp_path_factory, name, part, noise):
    sweep = tmp_path_factory.mktemp("runs") / "sweep"
    make_runs(sweep, 1, rows=4)
    make_run(sweep / "single", rows=4, state="unfinished")
    for path in sorted(sweep.rglob(name)):
        content = path.read_bytes()
        path.write_bytes(content[: int(part * len(content))] + noise)
    runs = find_runs([sweep])
    assert [run.name for run in runs] == ["0" * 12, "single"]
    for run in runs:
        assert run.state in STATES
        assert isinstance(run.config, dict)
        assert isinstance(run.record, dict)
        assert len({len(column) for column in run.metrics.values()}) <= 1


def test_every_run_is_found_once_in_order(tmp_path):
    make_runs(tmp_path / "sweeps" / "made", 12, states={3: "missing", 5: "failed"})
    make_run(tmp_path / "2026-03-01" / "12-00-00_qm9")
    make_run(tmp_path / "2026-03-01" / "12-00-00_qm9_2", state="unfinished")
    names = ["12-00-00_qm9", "12-00-00_qm9_2", *(f"{n:012x}" for n in range(12))]
    runs = find_runs([tmp_path])
    assert [run.name for run in runs] == names
    assert [run.state for run in runs if run.state != "done"] == ["unfinished", "missing", "failed"]
    again = find_runs([tmp_path / "sweeps", *(run.folder for run in runs[2:4]), tmp_path])
    assert len(again) == len(runs)


def test_the_order_of_a_sweep_is_that_of_its_last_start(tmp_path):
    make_runs(tmp_path, 4)
    folder_of(tmp_path, sweep={"name": "s", "jobs": [f"{n:012x}" for n in (2, 0, 77)]})
    found = [(int(run.name, 16), run.state) for run in find_runs([tmp_path])]
    # Jobs of earlier starts count too, behind those of the last.
    assert found == [(2, "done"), (0, "done"), (77, "missing"), (1, "done"), (3, "done")]


def test_a_missing_job_belongs_to_its_sweep(tmp_path):
    make_runs(tmp_path, 2, states={1: "missing"}, sweep="seeds")
    run = find_runs([tmp_path])[1]
    assert (run.state, run.sweep, run.key) == ("missing", "seeds", run.name)


def test_what_lies_inside_runs_is_no_run(tmp_path):
    run = make_run(tmp_path / "run")
    for inside in ("attempt_1", "checkpoints/x", "wandb/offline-run/files", "figures", ".hydra"):
        folder_of(run / inside, summary=LEARNT)
    folder_of(tmp_path / "conf")
    (tmp_path / "conf" / "config.yaml").write_text("seed: 0")
    assert [found.folder for found in find_runs([tmp_path])] == [run]


def test_runs_below_a_run_are_found(tmp_path):
    # hydra.run.dir=outputs puts a run beside the folders of others.
    make_run(tmp_path / "outputs")
    make_run(tmp_path / "outputs" / "2026-03-01" / "run")
    assert len(find_runs([tmp_path])) == 2


def test_a_file_stands_for_its_folder(tmp_path):
    run = make_run(tmp_path / "run")
    make_run(tmp_path / "other")
    assert [found.folder for found in find_runs([run / "summary.json"])] == [run]


def test_a_link_is_not_a_second_run(tmp_path):
    run = make_run(tmp_path / "run")
    (tmp_path / "latest").symlink_to(run)
    assert [found.folder for found in find_runs([tmp_path])] == [run]
    assert len(find_runs([tmp_path / "latest", run])) == 1


def test_a_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"There is no .*nothing.*outputs/"):
        find_runs([tmp_path / "nothing"])


def test_reading_runs_does_not_wait_for_torch():
    code = (
        "import sys; from gnnpack.commands import runs;"
        "from gnnpack.tracking.metrics_rows import read_columns;"
        "assert not {'torch', 'pytorch_lightning'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_name_of_tracking_can_be_imported():
    from gnnpack import tracking

    assert all(getattr(tracking, name) is not None for name in tracking.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        tracking.no_such_name  # noqa: B018
