"""Sweeps from the command line: which jobs there are, how they are launched, what is told."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode
from omegaconf import OmegaConf

from gnnpack.commands import train as train_module
from gnnpack.commands.errors import message
from gnnpack.commands.folders import conf_dir, parallel_jobs, register_resolvers
from gnnpack.commands.job_list import Composer, key_of, list_jobs
from gnnpack.commands.launchers import has_scheduler, is_pool, jobs_at_once, lacking
from gnnpack.commands.sweep_jobs import quoted
from gnnpack.commands.sweep_task import SweepTask, command
from gnnpack.commands.sweeper import SweepOfProcesses
from gnnpack.commands.train import check_job_key
from gnnpack.experiments.devices import Request, core_numbers
from gnnpack.experiments.job import Job
from gnnpack.experiments.process import KEY_VARIABLE
from gnnpack.experiments.run_folder import read_run
from gnnpack.experiments.start import Start
from gnnpack.run import run
from tests.experiments.stand_in import CLASH
from tests.experiments.stand_in_sweep import with_options
from tests.run.conftest import SMALL

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def master(folder):
    """The config of a multirun, as a sweeper gets it, and what composes its jobs'."""
    register_resolvers()
    GlobalHydra.instance().clear()

    def master(*overrides: str):
        hydra = GlobalHydra.instance().hydra
        config = hydra.compose_config("config", list(overrides), run_mode=RunMode.MULTIRUN)
        return config, Composer(hydra.config_loader, config)

    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield master


@pytest.fixture
def plan(master):
    """Plan a sweep of made molecules."""

    def plan(*arguments: str, params=None, variants=None, must_learn=False):
        arguments = ("experiment=smoke", *arguments)
        _, compose = master(*arguments)
        return list_jobs(
            "s", params or {}, variants or {}, arguments, compose, must_learn=must_learn
        )

    return plan


@pytest.fixture
def stand_ins(monkeypatch):
    """Let every job be a stand-in with these options."""

    def stand_ins(*options: str) -> None:
        program = partial(with_options, options)
        monkeypatch.setattr(SweepOfProcesses, "program", staticmethod(program))

    stand_ins("updates=3")
    return stand_ins


def jobs_of(sweep: Path) -> list:
    """Facts of the jobs of the last start, in order."""
    keys = json.loads((sweep / "sweep.json").read_text())["jobs"]
    return [read_run(sweep / key) for key in keys]


def labels(planned) -> list[str]:
    return [job.label for job in planned.jobs]


def test_every_combination_is_a_job(plan):
    planned = plan("packer=lpfhp,one_per_pack", "seed=0,1", must_learn=True)
    assert labels(planned) == [
        f"packer={packer} seed={seed}" for packer in ("lpfhp", "one_per_pack") for seed in (0, 1)
    ]
    last = planned.jobs[-1]
    assert last.swept == {"packer": "one_per_pack", "seed": "1"}
    assert (last.number, last.must_learn, last.variant) == (4, True, None)
    assert last.options["packer"] == "one_per_pack"
    assert last.options["experiment"] == "smoke"
    assert not any("/" in group for group in last.options)
    assert len({job.key for job in planned.jobs}) == 4
    assert [job.key for job in planned.jobs] == list(map(key_of, planned.configs))


def test_the_command_line_comes_before_params(plan):
    planned = plan("seed=3", "packer=lpfhp,optimal", params={"seed": "0,1", "batch_size": "8,16"})
    assert labels(planned) == [
        f"batch_size={size} packer={packer}" for size in (8, 16) for packer in ("lpfhp", "optimal")
    ]
    assert {config.seed for config in planned.configs} == {3}


def test_values_mean_what_hydra_takes_them_for(plan):
    planned = plan("optimizer.lr=1e-3", "model.filter=exact", "shape.num_atoms=null,40")
    assert [config.optimizer.lr for config in planned.configs] == [1e-3, 1e-3]
    assert [config.shape.num_atoms for config in planned.configs] == [None, 40]
    assert planned.jobs[0].swept == {"shape.num_atoms": "null"}
    listed = plan(params={"seed": [0, 1], "trainer.gradient_clip_val": [None, 1.5]})
    assert [(c.seed, c.trainer.gradient_clip_val) for c in listed.configs] == [
        (0, None), (0, 1.5), (1, None), (1, 1.5),
    ]  # fmt: skip
    nested = {"optimizer.betas": [[0.9, 0.99], [0.8, 0.9]], "shape": [{"num_atoms": 9}]}
    listed = plan(params=nested)
    assert [(list(c.optimizer.betas), c.shape.num_atoms) for c in listed.configs] == [
        ([0.9, 0.99], 9), ([0.8, 0.9], 9),
    ]  # fmt: skip
    planned = plan("seed=range(2,4)", "batch_size=choice(4,8)")
    assert [(c.seed, c.batch_size) for c in planned.configs] == [(2, 4), (2, 8), (3, 4), (3, 8)]


def test_added_and_deleted_keys(plan):
    planned = plan("++trainer.max_steps=1,2", "~callbacks.checkpoint_last")
    assert [config.trainer.max_steps for config in planned.configs] == [1, 2]
    assert all("checkpoint_last" not in config.callbacks for config in planned.configs)


def test_variants_are_each_run_with_all_params(plan):
    variants = {
        "padded": ["packer=one_per_pack"],
        "packed": {"cpu": ["packer=lpfhp", "batch_size=8"], "gpu": ["packer=optimal"]},
        "graphs": {"gpu": ["accelerator.device_iterations=4"]},
    }
    planned = plan(params={"seed": "0,1"}, variants=variants)
    assert labels(planned) == ["padded seed=0", "padded seed=1", "packed seed=0", "packed seed=1"]
    assert [job.variant for job in planned.jobs] == ["padded", "padded", "packed", "packed"]
    assert planned.configs[2].batch_size == 8
    assert planned.told == ["The variant graphs has nothing for accelerator=cpu and is left out."]
    # An accelerator that is swept chooses for each of its jobs.
    both = plan("accelerator=cpu,gpu", variants=variants)
    assert labels(both) == [
        "padded accelerator=cpu",
        "padded accelerator=gpu",
        "packed accelerator=cpu",
        "packed accelerator=gpu",
        "graphs accelerator=gpu",
    ]
    assert [job.options["packer"] for job in both.jobs[2:4]] == ["lpfhp", "optimal"]


def test_the_command_line_comes_before_variants(plan):
    planned = plan("batch_size=4", variants={"big": ["batch_size=32", "seed=5"]})
    assert (planned.configs[0].batch_size, planned.configs[0].seed) == (4, 5)


def test_the_same_run_is_run_once(plan):
    assert labels(plan("packer=lpfhp,lpfhp", "seed=0,1")) == ["seed=0", "seed=1"]
    same = plan(variants={"a": ["seed=0"], "b": ["seed=1"], "c": ["logger.x=1"][:0]})
    assert same.told == ["c is the same run as a; it is run once."]
    assert labels(same) == ["a", "b"]


@pytest.mark.parametrize(
    "arguments, options, told",
    [
        (["optimizer.lr=1e-3,fast"], {}, "optimizer.lr=fast: optimizer.lr is 'fast'"),
        (["seed=0,-1"], {}, "seed=-1: seed is -1"),
        (["packer=lpfhp,lpfph"], {}, "packer=lpfph: .*Could not find 'packer/lpfph'"),
        (["trainer.max_epoch=1,2"], {}, "no setting 'trainer.max_epoch'"),
        (["seed=interval(0,1)"], {}, "seed=interval.*needs a list of them"),
        (["resume=a,b"], {}, "cannot be part of a multirun"),
        (["checkpoint=a.ckpt,b"], {}, r"checkpoint=a.ckpt: checkpoint=a.ckpt: there is no a\.ckpt"),
        ([], {"variants": {"a": "seed=1"}}, "variants.a is 'seed=1'; give a list"),
        ([], {"variants": {"a": ["seed=1,2"]}}, "seed=1,2: a variant has one value"),
        ([], {"variants": {"a": {"ipu": []}}}, "has no jobs.*nothing for accelerator=cpu"),
    ],
)
def test_what_cannot_run_is_told_before_anything_runs(plan, arguments, options, told):
    with pytest.raises(ValueError, match=f"(?s){told}"):
        plan(*arguments, **options)


def test_a_sweep_is_named_by_its_option_or_by_what_it_sweeps(master):
    def place(*overrides: str) -> str:
        return str(master(*overrides)[0].hydra.sweep.dir)

    assert place("sweeps=seeds") == place("sweeps=seeds", "cutoff=5,6") == "outputs/sweeps/seeds"
    assert place("packer=lpfhp,optimal", "seed=0,1") == "outputs/sweeps/packer_seed"
    assert place("+model/x@y=a,b") == "outputs/sweeps/model-x"
    assert place("+hydra.sweeper.params={cutoff: '5,6'}") == "outputs/sweeps/cutoff"
    assert place("seed=1") == "outputs/sweeps/jobs"
    assert place("seed=0,1", "hydra.sweep.dir=mine") == "mine"
    assert place("seed=0,1", "hydra/sweeper=basic").startswith("outputs/2")


@pytest.mark.parametrize(
    "text", ["a", "a b", "it's", "a,b=c", "1e3", "back\\slash", "end\\", "\\'"]
)
def test_quoted_text_is_read_back(text, master):
    _, compose = master()
    (override,) = compose.parser.parse_overrides([f"k={quoted(text)}"])
    assert override.value() == text


def test_a_command_begins_or_goes_on(tmp_path):
    job = Job("s", "k", 1, ["packer=lpfhp", "seed=1"])
    program = [sys.executable, "-m", "gnnpack.commands.train", "hydra.mode=RUN"]
    place = f"hydra.run.dir='{tmp_path}'"
    assert command(job, tmp_path, False) == [*program, *job.overrides, place]
    assert command(job, tmp_path, True) == [*program, f"resume='{tmp_path}'"]


def test_a_job_wants_its_devices(compose, monkeypatch):
    def wanted(*overrides: str, shares=None, scheduled=False, gpus: int = 4) -> Request:
        monkeypatch.setenv("GNNPACK_FAKE_GPUS", str(gpus) if gpus else "")
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        task = SweepTask(Start(1, "", ""), shares, scheduled)
        return task.device(compose(*overrides))

    cores = len(core_numbers())
    assert wanted("accelerator=cpu") == Request()
    assert wanted("accelerator=cpu", shares=cores) == Request("cores", 1)
    assert wanted("accelerator=cpu", shares=10 * cores) == Request("cores", 1)
    two = wanted("accelerator=cpu", "accelerator.devices=2", shares=1)
    assert two == Request("cores", 2 * cores, processes=2)
    assert wanted("accelerator=gpu") == wanted("accelerator=auto") == Request("gpu", 1)
    assert wanted("accelerator=gpu", "accelerator.devices=3") == Request("gpu", 3)
    assert wanted("accelerator=gpu", "accelerator.devices=-1") == Request("gpu", 4)
    assert wanted("accelerator=gpu", "accelerator.devices=[2,3]") == Request("gpu", numbers=[2, 3])
    assert wanted("accelerator=gpu", scheduled=True) == Request()
    assert wanted("accelerator=auto", gpus=0) == Request()
    assert wanted("accelerator=auto", shares=2, gpus=0).kind == "cores"
    monkeypatch.setenv("GNNPACK_FAKE_GPUS", "4")
    assert parallel_jobs() == 4


def test_who_gives_devices_and_how_many_share_the_cores(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    cores = len(core_numbers())

    def told(target: str, **settings) -> tuple:
        launcher = OmegaConf.create({"_target_": target, **settings})
        return is_pool(launcher), has_scheduler(launcher), jobs_at_once(launcher)

    submitit = "hydra_plugins.hydra_submitit_launcher.submitit_launcher"
    joblib = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
    assert told("hydra._internal.core_plugins.basic_launcher.BasicLauncher") == (False, False, None)
    assert told(joblib, n_jobs=3) == (True, False, 3)
    assert told(joblib, n_jobs=-1) == (True, False, cores)
    assert told(f"{submitit}.SlurmLauncher", cpus_per_task=8) == (False, True, None)
    assert told("hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher") == (False, True, None)
    # Its jobs are processes of this machine, which it gives nothing of their own.
    assert told(f"{submitit}.LocalLauncher", cpus_per_task=None) == (False, False, 2)
    assert told(f"{submitit}.LocalLauncher", cpus_per_task=1) == (False, False, cores)


@pytest.mark.parametrize(
    "target, cure",
    [
        ("hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher", "gnnpack[ray]"),
        ("hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher", "gnnpack[local]"),
        ("hydra_plugins.mine.Launcher", "launcher=basic"),
    ],
)
def test_a_launcher_that_lacks_a_package_says_what_to_install(target, cure):
    refusal = lacking(OmegaConf.create({"_target_": target}), ImportError("No module named 'ray'"))
    assert "No module named 'ray'" in str(refusal)
    assert cure in str(refusal)


LAUNCHERS = {
    "basic": ("hydra", "BasicLauncher"),
    "local": ("hydra_plugins.hydra_joblib_launcher", "JoblibLauncher"),
    "slurm": ("hydra_plugins.hydra_submitit_launcher", "SlurmLauncher"),
    "ray": ("hydra_plugins.hydra_ray_launcher", "RayLauncher"),
}


@pytest.mark.parametrize("option", sorted(path.stem for path in conf_dir().glob("launcher/*.yaml")))
def test_every_launcher_composes_and_can_be_made(option, master):
    package, name = LAUNCHERS[option]
    try:
        here = importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        here = False
    if not here:
        with pytest.raises(Exception, match="hydra/launcher") as refused:
            master(f"launcher={option}")
        assert f"pip install 'gnnpack[{option}]'" in message(refused.value)
        pytest.skip(f"{package} is not installed")
    config, compose = master(f"launcher={option}", "seed=0,1")
    task = SweepTask(Start(2, "now", "."))
    context = HydraContext(config_loader=GlobalHydra.instance().hydra.config_loader, callbacks=None)
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=context, task_function=task, config=config
    )
    assert type(launcher).__name__ == name
    # Its workers are given the task, and the program's own group of configs.
    assert pickle.loads(pickle.dumps(task)) == task
    pickle.loads(pickle.dumps(context.config_loader))
    # A job is the same job wherever it runs.
    job_config, choices = compose([f"launcher={option}", "seed=0"])
    assert choices["launcher"] == option
    assert key_of(job_config) == key_of(compose(["launcher=basic", "seed=0"])[0])


def test_a_plain_multirun_is_a_sweep(train, folder, stand_ins, capfd):
    train("-m", "packer=lpfhp,one_per_pack", "seed=0,1")
    sweep = folder / "outputs" / "sweeps" / "packer_seed"
    facts = jobs_of(sweep)
    assert [one.state for one in facts] == ["done"] * 4
    assert sorted(path.name for path in sweep.iterdir()) == sorted(
        ["sweep.json", *(one.key for one in facts)]
    )
    assert facts[3].swept == {"packer": "one_per_pack", "seed": "1"}
    assert facts[3].job["overrides"] == [*SMALL, "packer=one_per_pack", "seed=1"]
    written = json.loads((sweep / "sweep.json").read_text())
    assert written["name"] == "packer_seed"
    assert written["overrides"] == [*SMALL, "packer=lpfhp,one_per_pack", "seed=0,1"]
    said = capfd.readouterr().out
    assert "sweep packer_seed: 4 jobs" in said
    assert "job 4/4 packer=one_per_pack seed=1: done" in said
    assert said.endswith("4 done.\n")
    # Hydra makes no log of its own in the jobs' folders.
    assert not list(sweep.glob("*/train.log"))

    train("-m", "packer=lpfhp,one_per_pack", "seed=1,2")
    assert capfd.readouterr().out.count(": begins") == 2
    assert [one.status["attempt"] for one in jobs_of(sweep)] == [1] * 4
    assert len(list(sweep.glob("*/state.json"))) == 6

    train("-m", "packer=lpfhp", "seed=0,1", "hydra.sweep.dir=outputs/sweeps/packer_seed")
    assert ": begins" not in capfd.readouterr().out
    redo = "hydra.sweeper.redo=true"
    train("-m", "packer=lpfhp", "seed=0,1", "hydra.sweep.dir=outputs/sweeps/packer_seed", redo)
    assert capfd.readouterr().out.count(": begins") == 2
    assert [one.status["attempt"] for one in jobs_of(sweep)] == [2] * 2


def test_a_sweep_with_failures_ends_with_status_1(train, folder, stand_ins, capfd):
    stand_ins("fail_at=2")
    with pytest.raises(SystemExit) as ended:
        train("-m", "seed=0,1")
    assert ended.value.code == 1
    said = capfd.readouterr().out
    assert "job 2 seed=1 failed: RuntimeError: update 2 went wrong" in said
    assert "2 failed. The same command runs the 2 left." in said
    stand_ins("error=2.0")
    with pytest.raises(SystemExit):
        train("-m", "seed=0,1", "hydra.sweeper.must_learn=true")
    assert "did not learn: test MAE 2 is not below 1" in capfd.readouterr().out
    stand_ins("updates=1")
    train("-m", "seed=0,1")


def test_ctrl_c_ends_the_sweep_with_its_table(train, folder, stand_ins, capfd):
    stand_ins("interrupt_at=2")
    with pytest.raises(SystemExit) as ended:
        train("-m", "seed=0,1")
    assert ended.value.code == 130
    assert "1 missing, 1 unfinished. The same command runs the 2 left." in capfd.readouterr().out


# A sweep of stand-ins, for a process of its own.
SWEEP_OF_STAND_INS = """
import sys
from functools import partial
from gnnpack.commands.main import main
from gnnpack.commands.sweeper import SweepOfProcesses
from tests.experiments.stand_in_sweep import with_options
program = partial(with_options, ["updates=1000", "seconds=0.05"])
SweepOfProcesses.program = staticmethod(program)
sys.argv[0] = "gnnpack"
main()
"""


@pytest.mark.parametrize(
    "whom, at_once",
    # joblib runs jobs that come one at a time in the sweep's own process.
    [
        ("the sweep alone", 2),
        ("all in the terminal", 2),
        pytest.param("all in the terminal", 1, marks=pytest.mark.slow),
    ],
)
def test_ctrl_c_with_launcher_local_ends_jobs_tidily(folder, monkeypatch, whom, at_once):
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    number = f"hydra.launcher.n_jobs={at_once}"
    words = ["train", "-m", *SMALL, "launcher=local", number, "seed=0,1,2"]
    process = subprocess.Popen(
        [sys.executable, "-c", SWEEP_OF_STAND_INS, *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A shell starts background jobs, and so perhaps these tests, with SIGINT ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    sweep = folder / "outputs" / "sweeps" / "seed"
    try:
        wait_for(lambda: len(list(sweep.glob("*/updates.txt"))) == at_once)
        if whom == "the sweep alone":
            process.send_signal(signal.SIGINT)
        else:
            os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    facts = jobs_of(sweep)
    states = ["missing"] * (3 - at_once) + ["unfinished"] * at_once
    assert sorted(one.state for one in facts) == states, said
    assert process.returncode == 130
    for one in facts:
        if one.state == "unfinished":
            assert one.status["reason"] == "interrupted"
            assert "KeyboardInterrupt" in (one.folder / "output.log").read_text()
            with pytest.raises(ProcessLookupError):
                os.kill(one.status["pid"], 0)
    assert said.count("interrupted; the next start goes on with it") == at_once
    told = f"{3 - at_once} missing, {at_once} unfinished. The same command runs the 3 left."
    assert told in said
    assert not list(sweep.glob(".go_ahead*"))


def test_a_launcher_that_breaks_leaves_the_table(train, folder, stand_ins, monkeypatch, capfd):
    def broken(self, folder, jobs, task):
        raise RuntimeError("the queue is gone")

    monkeypatch.setattr(SweepOfProcesses, "_launch", broken)
    with pytest.raises(SystemExit) as ended:
        train("-m", "seed=0,1")
    assert ended.value.code == 1
    said = capfd.readouterr().out
    assert "2 missing" in said
    assert "The launcher ended before its jobs: the queue is gone" in said


def test_nothing_begins_when_one_job_cannot(train, folder, stand_ins):
    with pytest.raises(SystemExit, match=r"train: optimizer\.lr=fast: optimizer\.lr is 'fast'"):
        train("-m", "optimizer.lr=1e-3,fast")
    assert not (folder / "outputs").exists()


SWEEP = """# @package _global_
# Is this found?
defaults:
  - override /packer: optimal

batch_size: 8
hydra:
  mode: MULTIRUN
  sweeper:
    must_learn: true
    params: {seed: "0,1"}
    variants:
      small: [batch_size=4]
      large: {cpu: [batch_size=16], gpu: [batch_size=64]}
"""


def test_a_named_sweep_of_the_working_folder(train, folder, stand_ins, capfd):
    (folder / "sweeps" / "wandb").mkdir(parents=True)
    (folder / "sweeps" / "mine.yaml").write_text(SWEEP)
    (folder / "sweeps" / "wandb" / "mine.yaml").write_text("program: train.py\n")
    train("sweeps=mine", "batch_size=2")
    facts = jobs_of(folder / "outputs" / "sweeps" / "mine")
    # The command line comes before both: the variants are the same runs then.
    assert [one.variant for one in facts] == ["small", "small"]
    assert "large seed=0 is the same run as small seed=0" in capfd.readouterr().out
    # SMALL types it too.
    assert "sweeps=mine" in facts[0].job["overrides"]
    assert facts[0].options["packer"] == "optimal"
    assert facts[0].options["sweeps"] == "mine"
    assert facts[0].job["must_learn"]


def test_sweeps_are_listed(gnnpack, train, folder, capsys):
    (folder / "sweeps").mkdir()
    (folder / "sweeps" / "mine.yaml").write_text(SWEEP)
    with pytest.raises(SystemExit):
        gnnpack("train", "--help")
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("sweeps:")]
    named = line[len("sweeps: ") :].split(", ")
    assert set(named) == {"mine", *(path.stem for path in (ROOT / "sweeps").glob("*.yaml"))}
    with pytest.raises(SystemExit, match=r"(?s)Could not find 'sweeps/mein'.*\tmine\n"):
        train("sweeps=mein")


def test_parallel_jobs_never_share_a_gpu(train, folder, stand_ins, monkeypatch, capfd):
    shared = folder / "shared"
    shared.mkdir()
    stand_ins("updates=4", "seconds=0.05", f"shared={shared}")
    monkeypatch.setenv("GNNPACK_FAKE_GPUS", "2")
    train("-m", "accelerator=gpu", "launcher=local", "hydra.launcher.n_jobs=3", "seed=0,1,2,3")
    facts = jobs_of(folder / "outputs" / "sweeps" / "seed")
    assert [one.state for one in facts] == ["done"] * 4
    assert {one.status["device"] for one in facts} == {"cuda:0", "cuda:1"}
    assert not (shared / CLASH).exists()


def test_on_one_gpu_jobs_run_one_after_another(folder, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    monkeypatch.setenv("GNNPACK_FAKE_GPUS", "1")
    # In a process of its own: joblib then runs the jobs in it, and Hydra's launcher changes it.
    done = subprocess.run(
        [
            *[sys.executable, "-c", SWEEP_OF_STAND_INS.replace("updates=1000", "updates=2")],
            *["train", "-m", *SMALL, "accelerator=gpu", "launcher=local", "seed=0,1"],
        ],
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0
    facts = jobs_of(folder / "outputs" / "sweeps" / "seed")
    assert [(one.state, one.status["device"]) for one in facts] == [("done", "cuda:0")] * 2


def test_a_config_that_changed_since_the_sweep_began_is_refused(compose, monkeypatch):
    cfg = compose()
    monkeypatch.setenv(KEY_VARIABLE, key_of(cfg))
    check_job_key(cfg)
    with pytest.raises(ValueError, match="configuration changed since the sweep began"):
        check_job_key(compose("seed=1"))
    check_job_key(compose("logger=csv", "data_dir=elsewhere"))
    monkeypatch.delenv(KEY_VARIABLE)
    check_job_key(compose("seed=1"))


def test_of_a_checkpoint_its_content_counts(compose, folder):
    run = folder / "before"
    (run / "checkpoints").mkdir(parents=True)
    best = run / "checkpoints" / "best.ckpt"
    best.write_bytes(b"weights")
    key = key_of(compose("checkpoint=before"))
    assert key == key_of(compose(f"checkpoint={run}")) == key_of(compose(f"checkpoint={best}"))
    run.rename(folder / "moved")
    assert key == key_of(compose("checkpoint=moved"))
    assert key != key_of(compose())
    (folder / "moved" / "checkpoints" / "best.ckpt").write_bytes(b"Weights")
    assert key != key_of(compose("checkpoint=moved"))


FLAGS = [
    (["--config-dir=BESIDE", "optimizer=mine"], "optimizer._target_", "torch.optim.SGD"),
    (
        ["hydra.searchpath=[file://BESIDE]", "optimizer=mine"],
        "optimizer._target_",
        "torch.optim.SGD",
    ),
    (["--config-dir=BESIDE", "--config-name=other"], "optimizer.lr", 0.125),
    (["--config-path=CONF"], "cutoff", 5.0),
]


@pytest.mark.parametrize("words, key, value", FLAGS, ids=range(4))
def test_hydras_own_flags_reach_the_jobs(words, key, value, train, folder, monkeypatch):
    beside, conf = folder / "beside", folder / "conf"
    (beside / "optimizer").mkdir(parents=True)
    mine = "_target_: torch.optim.SGD\n_partial_: true\nlr: 0.125\n"
    (beside / "optimizer" / "mine.yaml").write_text(mine)
    (beside / "other.yaml").write_text("defaults: [config, _self_]\noptimizer: {lr: 0.125}\n")
    if "--config-path=CONF" in words:
        shutil.copytree(conf_dir(), conf)
        text = (conf / "config.yaml").read_text()
        (conf / "config.yaml").write_text(text.replace("cutoff: 6.0", "cutoff: 5.0"))
    words = [word.replace("CONF", str(conf)).replace("BESIDE", str(beside)) for word in words]
    launched = []
    monkeypatch.setattr(SweepOfProcesses, "_launch", lambda self, *of: launched.append(of))
    with pytest.raises(SystemExit):
        train("-m", "seed=3", *words)
    ((place, (job,), task),) = launched
    # In the job's process.
    composed = []
    monkeypatch.setattr(train_module, "task", lambda cfg: composed.append(cfg))
    monkeypatch.setattr(
        sys, "argv", ["train", *command(job, place / job.key, False)[3:], *task.start.flags]
    )
    GlobalHydra.instance().clear()
    train_module.main()
    assert composed[0].seed == 3
    assert OmegaConf.select(composed[0], key) == value
    assert key_of(composed[0]) == job.key


def test_a_written_config_has_the_key_of_the_composed_one(compose, tmp_path):
    cfg = compose("optimizer.lr=5e-5", "experiment=smoke")
    OmegaConf.save(cfg, tmp_path / "config.yaml", resolve=True)
    assert key_of(OmegaConf.load(tmp_path / "config.yaml")) == key_of(cfg)


@pytest.fixture
def start_sweep(folder, monkeypatch):
    """Start `python train.py -m` with the small settings in a process of its own."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("GNNPACK_DATA", str(folder / "data"))
    started = []

    def start(*arguments: str) -> subprocess.Popen:
        command = [sys.executable, str(ROOT / "train.py"), "-m", *SMALL, *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen(command, cwd=folder, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def wait_for(condition, seconds: float = 90.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


def checkpoint_of(sweep: Path, seed: int):
    """The folder of a job that runs and has a checkpoint, or None."""
    for path in sweep.glob("*/checkpoints/last.ckpt"):
        facts = read_run(path.parents[1])
        is_it = f"seed={seed}" in facts.job["overrides"]
        if is_it and facts.status["state"] == "running":
            return facts
    return None


@pytest.mark.parametrize(
    "seeds", [(1,), pytest.param((0, 1), marks=pytest.mark.slow)], ids=["sweep", "job and sweep"]
)
def test_killed_jobs_and_sweeps_go_on_to_the_same_result(
    seeds, folder, compose, start_sweep, torch_threads, monkeypatch
):
    monkeypatch.setenv("GNNPACK_DATA", str(folder / "data"))
    listed = ",".join(map(str, seeds))
    arguments = ("trainer.max_epochs=12", f"+hydra.sweeper.params.seed='{listed}'")
    sweep = folder / "outputs" / "sweeps" / "seed"
    first = start_sweep(*arguments)
    if 0 in seeds:
        # A job is killed, and the sweep goes on.
        wait_for(lambda: checkpoint_of(sweep, 0))
        os.kill(checkpoint_of(sweep, 0).status["pid"], signal.SIGKILL)
    # The sweep is killed, and its job ends with it.
    wait_for(lambda: checkpoint_of(sweep, 1))
    first.kill()
    first.communicate()
    wait_for(lambda: "running" not in [one.state for one in jobs_of(sweep)])
    assert [one.state for one in jobs_of(sweep)] == ["failed", "unfinished"][-len(seeds) :]
    again = start_sweep(*arguments)
    said, _ = again.communicate(timeout=240)
    assert again.returncode == 0, said
    assert said.count(": goes on") == len(seeds)
    torch_threads(1)
    for seed, one in zip(seeds, jobs_of(sweep)):
        assert (one.state, one.status["attempt"]) == ("done", 2)
        cfg = compose(*SMALL, "trainer.max_epochs=12", f"seed={seed}")
        whole = run(cfg, folder / f"whole_{seed}")
        assert one.summary["updates"] == whole["updates"]
        assert one.summary["test_mae"] == whole["test_mae"]
    assert not list(sweep.glob("*/attempt_*"))
