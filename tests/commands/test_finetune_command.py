"""`python train.py experiment=finetune checkpoint=PATH`: the model comes with the checkpoint."""

from __future__ import annotations

import csv

import pytest
from ase import Atoms
from ase.io import write
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from gnnpack.commands.finetune import with_checkpoints_model
from gnnpack.commands.folders import conf_dir, register_resolvers
from gnnpack.commands.sweeps_group import register_sweeps
from gnnpack.experiments.find_runs import find_runs
from gnnpack.experiments.finetune_gain import finetune_gain
from gnnpack.run import run
from gnnpack.run.config_check import check_config
from tests.run.conftest import SMALL

PLACE = "hydra.run.dir="
# All but the sizes of the model.
DATA = [setting for setting in SMALL if not setting.startswith("model.")]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A finished run of a small model with a cutoff of its own."""
    folder = tmp_path_factory.mktemp("pretrained")
    settings = (*SMALL, f"data_dir={folder / 'data'}", "cutoff=4.5", "model.filter=exact")
    register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = hydra_compose("config", [*settings, "trainer.max_epochs=1"])
    run(cfg, folder / "run")
    return folder / "run"


def test_no_setting_of_the_model_need_be_typed(pretrained, gnnpack, folder, capsys):
    settings = (*DATA, "dataset.seed=1", "trainer.max_epochs=1", "hydra.run.dir=tuned")
    gnnpack("train", *settings, f"checkpoint={pretrained}", "finetune.body_lr=0.1")
    cfg = OmegaConf.load(folder / "tuned" / "config.yaml")
    assert (cfg.model.hidden_channels, cfg.model.num_interactions) == (8, 2)
    assert (cfg.cutoff, cfg.model.cutoff, cfg.model.filter) == (4.5, 4.5, "exact")
    gnnpack("evaluate", "checkpoint=tuned")
    write(folder / "in.xyz", [Atoms("CO", [[0, 0, 0], [1.2, 0, 0]])])
    gnnpack("predict", "checkpoint=tuned", "input=in.xyz", "output=out.csv")
    with open(folder / "out.csv", encoding="utf-8") as file:
        assert [float(row["energy (eV)"]) < 0 for row in csv.DictReader(file)] == [True]


def test_the_experiment_asks_for_a_checkpoint_and_takes_one(pretrained, gnnpack, folder):
    settings = ("dataset=synthetic", "dataset.num_molecules=80", "trainer.max_epochs=1")
    settings += ("experiment=finetune", "logger=csv", "accelerator=cpu", "hydra.run.dir=tuned")
    with pytest.raises(SystemExit, match=r"body_lr is 0\.1, but .* Give checkpoint=PATH"):
        gnnpack("train", *settings)
    with pytest.raises(SystemExit, match=r"checkpoint=none: there is no none\. Give checkpoint="):
        gnnpack("train", *settings, "checkpoint=none")
    gnnpack("train", *settings, f"checkpoint={pretrained}/checkpoints/last.ckpt")
    assert OmegaConf.load(folder / "tuned" / "config.yaml").model.hidden_channels == 8


@pytest.mark.parametrize(
    "typed, key, expected",
    [
        ([], "model.hidden_channels", 8),
        ([], "model.filter", "exact"),
        ([], "cutoff", 4.5),
        ([], "model.cutoff", 4.5),
        (["model.filter.tolerance=1e-3"], "model.filter.tolerance", 1e-3),
        (["model.compiled=false"], "model.compiled", False),
        # Chosen though it is the option's own value; the run then refuses it.
        (["model.hidden_channels=100"], "model.hidden_channels", 100),
        (["cutoff=6.0"], "cutoff", 6.0),
        (["model=schnet"], "model.hidden_channels", 8),
        # What data decide is never the checkpoint's.
        ([], "model.largest_molecule", None),
    ],
)
def test_what_nobody_chose_is_the_checkpoints(pretrained, compose, typed, key, expected):
    made = with_checkpoints_model(compose(f"checkpoint={pretrained}", *typed), typed, "schnet")
    assert OmegaConf.select(made, key) == expected


def test_what_an_experiment_sets_is_a_choice(pretrained, compose):
    cfg = compose(f"checkpoint={pretrained}", "model.num_gaussians=30")
    # Nothing typed: as if it stood in the experiment's file.
    made = with_checkpoints_model(cfg, ["experiment=mine"], "schnet")
    assert (made.model.num_gaussians, made.model.hidden_channels) == (30, 8)


def test_another_class_of_model_is_refused_if_it_was_typed(pretrained, compose):
    typed = ["model=schnet", "model._target_=mine.Network"]
    cfg = compose(f"checkpoint={pretrained}", typed[1])
    with pytest.raises(ValueError, match=r"mine\.Network.*weights of gnnpack\.models\.SchNet"):
        with_checkpoints_model(cfg, typed, "schnet")


def test_without_a_checkpoint_nothing_changes(compose):
    cfg = compose("model.hidden_channels=12")
    assert with_checkpoints_model(cfg, [], "schnet") is cfg


# --- the example ---


@pytest.fixture
def jobs(compose) -> dict[str, OmegaConf]:
    """One job of each variant of sweeps/finetune_gain.yaml."""
    register_sweeps()
    asked = ("sweeps=finetune_gain", "checkpoint=outputs/water_pretrain")
    file = conf_dir().parent / "sweeps" / "finetune_gain.yaml"
    variants = OmegaConf.load(file).hydra.sweeper.variants
    return {name: compose(*asked, *overrides) for name, overrides in variants.items()}


def test_variants_differ_in_nothing_but_how_they_begin(jobs):
    assert len(jobs) == 3
    for name, cfg in jobs.items():
        check_config(cfg)
        assert cfg.finetune.from_scratch == (name == "from_scratch")
        assert cfg.finetune.body_lr == (1 if name == "from_scratch" else 0.3)
        cfg.finetune = None
    assert jobs["from_scratch"] == jobs["finetuned"] == jobs["finetuned_frozen"]


def test_the_sweep_without_a_checkpoint_is_refused_before_it_begins(compose):
    register_sweeps()
    with pytest.raises(ValueError, match="no weights to begin with"):
        check_config(compose("sweeps=finetune_gain", "finetune.from_scratch=true"))


def test_the_clusters_are_of_another_model_and_of_other_numbers(compose, jobs):
    before, now = compose("experiment=water_pretrain").dataset, jobs["finetuned"].dataset
    assert (before.model, now.model) == ("q-tip4p-f", "spc-fw")
    assert before.seed != now.seed
    assert before.sizes == now.sizes
    # The sweep's largest training split leaves all others whole.
    assert 1600 + now.split.val + now.split.test == now.num_molecules
    # Each seed has clusters of its own.
    assert compose("experiment=water_finetune", "seed=2").dataset.split.seed == 2


def test_the_example_runs_on_few_clusters(gnnpack, folder):
    less = ("dataset.num_molecules=60", "dataset.split.val=10", "dataset.split.test=10")
    less += ("model.hidden_channels=8", "trainer.max_epochs=1", "trainer.check_val_every_n_epoch=1")
    gnnpack("train", "experiment=water_pretrain", *less, "dataset.split.train=40", PLACE + "before")
    few = (
        *less[:3],
        "dataset.split.train=20",
        "trainer.max_steps=4",
        "trainer.val_check_interval=2",
    )
    begun = ("experiment=water_finetune", "checkpoint=before")
    gnnpack("train", *begun, *few, PLACE + "after")
    gnnpack("train", *begun, *few, "finetune={body_lr:1,from_scratch:true}", PLACE + "scratch")
    for name in ("after", "scratch"):
        cfg = OmegaConf.load(folder / name / "config.yaml")
        assert (cfg.model.hidden_channels, cfg.trainer.max_steps) == (8, 4)
    found = finetune_gain(find_runs([folder]))
    assert found is not None
    assert [trace["x"] for trace in found.figure["data"]] == [[20], [20]]
