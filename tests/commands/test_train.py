"""What the command line gives: folders, multirun, resume, messages."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gnnpack.commands import folders
from gnnpack.tracking.wandb_words import sweep_words
from tests.run.conftest import SMALL

ROOT = Path(__file__).resolve().parents[2]


def runs(folder: Path) -> list[Path]:
    return sorted(folder.glob("outputs/*/*"))


def test_a_run_has_a_folder_with_its_choices_in_the_name(trained):
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", trained.parent.name)
    assert re.fullmatch(r"\d\d-\d\d-\d\d_synthetic_lpfhp_schnet", trained.name)
    assert OmegaConf.load(trained / "overrides.yaml") == list(SMALL)
    assert (trained / "train.log").read_text().startswith(("Building the store", "data "))


def test_runs_of_the_same_second_do_not_share_a_folder(tmp_path):
    names = []
    for _ in range(3):
        names.append(folders.claim_folder(str(tmp_path), "12-00-00_run"))
        assert folders.claim_folder(str(tmp_path), "12-00-00_run") == names[-1]
        folders.forget_claims()
    assert names == ["12-00-00_run", "12-00-00_run_2", "12-00-00_run_3"]


def test_processes_of_the_same_second_do_not_share_a_folder(tmp_path):
    code = (
        "import sys; from gnnpack.commands.folders import claim_folder; "
        "print(claim_folder(*sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path), "12-00-00_run"]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert len({process.communicate()[0] for process in started}) == 3


def test_a_place_that_cannot_be_written_is_named_with_the_cure(train, monkeypatch):
    def refuse(self: Path, *args: object, **options: object) -> None:
        raise PermissionError(30, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(SystemExit, match=r"(?s)cannot be made.*Read-only.*hydra\.run\.dir="):
        train()


def test_a_multirun_gives_each_job_its_folder_and_closes_its_wandb_run(train, folder):
    train("-m", "packer=one_per_pack,lpfhp", "logger=wandb", "trainer.max_epochs=1")
    jobs = [run for run in (folder / "outputs" / "sweeps" / "packer").iterdir() if run.is_dir()]
    packers = {json.loads((run / "job.json").read_text())["swept"]["packer"] for run in jobs}
    assert packers == {"one_per_pack", "lpfhp"}
    ids = set()
    for run in jobs:
        assert json.loads((run / "summary.json").read_text())["num_epochs"] == 1
        assert sweep_words(run)["group"] == "packer"
        (offline,) = (run / "wandb").glob("offline-run-*")
        ids.add((run / "wandb_id.txt").read_text())
        # Closed: the last record is written when a run is.
        assert list(offline.glob("*.wandb"))
    assert len(ids) == 2


def test_another_sweeper_runs_jobs_in_this_process(train, folder):
    with pytest.raises(SystemExit, match=r"Raise shape\.num_atoms"):
        train("-m", "shape.num_atoms=null,4", "hydra/sweeper=basic", "trainer.max_epochs=1")
    # The first came to its end, which a sweep of ours would have told; the refused left no folder.
    (job,) = [run for run in runs(folder) if run.is_dir()]
    assert re.fullmatch(r"\d\d-\d\d-\d\d_synthetic_lpfhp_schnet_0", job.name)
    assert json.loads((job / "summary.json").read_text())["num_epochs"] == 1


def test_resume_goes_on_in_the_same_folder(train, gnnpack, folder):
    train("schedule=constant", "trainer.max_epochs=1", "logger=wandb")
    (run,) = runs(folder)
    identity = (run / "wandb_id.txt").read_text()
    gnnpack("train", f"resume={run}", "trainer.max_epochs=2")
    assert runs(folder) == [run]
    assert json.loads((run / "summary.json").read_text())["num_epochs"] == 2
    assert (run / "wandb_id.txt").read_text() == identity


def test_train_py_and_the_wheels_command_are_the_same_program():
    text = (ROOT / "train.py").read_text()
    assert "from gnnpack.commands.train import main" in text


def test_an_interruption_says_how_to_go_on(folder):
    command = [sys.executable, str(ROOT / "train.py"), *SMALL, "trainer.max_epochs=100000"]
    # A shell starts background jobs, and so perhaps these tests, with SIGINT ignored.
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        for line in process.stdout:
            if "epoch 2/" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.communicate(timeout=60)[0]
    finally:
        process.kill()
    (run,) = runs(folder)
    assert process.returncode != 0
    assert f"resume={run.relative_to(folder)}" in rest.replace(f"{folder}/", "")


def test_resume_is_no_part_of_a_multirun(train):
    with pytest.raises(SystemExit, match="cannot be part of a multirun"):
        train("-m", "resume=a,b")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["packer=lpfph"], r"(?s)Could not find 'packer/lpfph'.*lpfhp"),
        (["trainer.max_epoch=1"], r"no setting 'trainer\.max_epoch'.*trainer\.max_epochs\?"),
        (["lr=1e-3"], r"no setting 'lr'\. Did you mean optimizer\.lr\?"),
        (["packr=lpfhp"], r"no setting 'packr'\. Did you mean packer\?"),
        (["callbacks.ema.decay=0.9"], "goes with callbacks=ema"),
        (["model.filter=exact", "model.filter.tolerance=1e-5"], "one of them took its place"),
        (["trainer.max_epochs=often"], r"trainer\.max_epochs is 'often'"),
        (["optimizer.lr=fast"], r"optimizer\.lr is 'fast'"),
        (["shape.num_atoms=4"], "atoms"),
        (["shape.num_atoms=-3"], r"shape\.num_atoms=-3"),
        (["shape.num_atoms=0"], r"shape\.num_atoms=0"),
        (["shape.num_molecules=1.5"], r"shape\.num_molecules=1\.5"),
        (["dataset.target=gap"], "gap"),
        (["dataset.split.train=500"], r"dataset\.split"),
        (["cutoff=-1"], "cutoff is -1"),
        (["resume=nowhere"], "resume=nowhere"),
    ],
)
def test_bad_input_gives_a_message_that_names_it(train, arguments, message):
    with pytest.raises(SystemExit) as ended:
        train(*arguments)
    assert re.search(message, str(ended.value)), ended.value


def test_a_refused_run_leaves_no_folder(train, folder):
    for arguments in (["optimizer.lr=fast"], ["shape.num_atoms=4"], ["-m", "optimizer.lr=fast,1"]):
        with pytest.raises(SystemExit):
            train(*arguments)
        assert runs(folder) == []


def test_a_job_that_is_refused_is_told_in_the_sweeps_table(train, folder, capfd):
    with pytest.raises(SystemExit) as ended:
        train("-m", "shape.num_atoms=4")
    assert ended.value.code == 1
    assert "Raise shape.num_atoms to at least" in capfd.readouterr().out
    (state,) = (folder / "outputs" / "sweeps" / "jobs").glob("*/state.json")
    assert json.loads(state.read_text())["state"] == "failed"


@pytest.mark.parametrize(
    "own, refused",
    [
        ("outputs/with space", "shape.num_atoms=4"),
        ("outputs/${hydra.job.name}", "shape.num_atoms=4"),
        # Told when Lightning asks for the loaders.
        ("outputs/mine", "loader.memory_share=2"),
    ],
)
def test_a_refused_run_leaves_no_folder_of_one_s_own(train, folder, own, refused):
    (folder / "outputs").mkdir()
    with pytest.raises(SystemExit):
        train(refused, "logger=wandb", f"hydra.run.dir='{own}'")
    assert list((folder / "outputs").iterdir()) == []


def test_a_refused_run_leaves_a_folder_that_was_there(train, folder):
    (folder / "mine").mkdir()
    with pytest.raises(SystemExit):
        train("shape.num_atoms=4", "hydra.run.dir=mine")
    assert list((folder / "mine").iterdir()) == []


@pytest.mark.parametrize("name", ["train.log", "notes.txt"])
def test_a_refused_run_leaves_what_was_in_its_folder(train, folder, name):
    (folder / "mine").mkdir()
    (folder / "mine" / name).write_text("before\n")
    with pytest.raises(SystemExit):
        train("shape.num_atoms=4", "hydra.run.dir=mine")
    assert (folder / "mine" / name).read_text().startswith("before\n")


def test_a_refused_resume_leaves_its_folder(train, gnnpack, trained):
    before = sorted(trained.rglob("*"))
    with pytest.raises(SystemExit, match="planned for"):
        gnnpack("train", f"resume={trained}", "trainer.max_epochs=9")
    assert sorted(trained.rglob("*")) == before


@pytest.mark.parametrize("name", ["metrics.csv", "checkpoints", ".hydra"])
def test_a_folder_with_more_than_its_log_is_kept(tmp_path, name):
    run = tmp_path / folders.claim_folder(str(tmp_path), "12-00-00_run")
    for made in ("train.log", name):
        (run / made).touch()
    folders.discard_refused(run)
    assert sorted(path.name for path in run.iterdir()) == sorted(["train.log", name])
    folders.forget_claims()


@pytest.mark.parametrize("held", [[], ["train.log"]])
def test_a_claimed_folder_with_its_log_alone_is_removed(tmp_path, held):
    run = tmp_path / folders.claim_folder(str(tmp_path), "12-00-00_run")
    for name in held:
        (run / name).touch()
    folders.discard_refused(run)
    assert not run.exists()
    # Nothing is left to do.
    folders.discard_refused(run)
    folders.forget_claims()


def test_a_message_is_for_people_until_more_is_asked_for(folder):
    for full, traceback in (("0", False), ("1", True)):
        done = subprocess.run(
            [sys.executable, str(ROOT / "train.py"), *SMALL, "shape.num_atoms=4"],
            capture_output=True,
            text=True,
            env={**os.environ, "HYDRA_FULL_ERROR": full},
        )
        assert done.returncode == 1
        assert "Raise shape.num_atoms to at least" in done.stderr
        assert ("Traceback" in done.stderr) == traceback
