"""Every option, experiment and sweep composes, and every part of it can be made."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from hydra.errors import ConfigCompositionException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from gnnpack.accelerators import IPUSettings
from gnnpack.batching import PLACES
from gnnpack.commands.folders import conf_dir
from gnnpack.models import Readout
from gnnpack.packing import PackShape
from gnnpack.run.config_check import check_config
from gnnpack.training import PackedDataModule

CONF = conf_dir()
OPTIONS = sorted(
    f"{file.parent.name}={file.stem}" for file in CONF.glob("*/*.yaml") if file.stem != "config"
)
# Made of real files elsewhere (tests/datasets), or of hardware that may not be here.
NEEDS = {"accelerator=gpu": (torch.cuda.is_available(), "sees no CUDA GPU")}
PAPER_ON_IPUS = [option for option in OPTIONS if option.endswith("_ipu")]
HAS_POPTORCH = importlib.util.find_spec("poptorch") is not None
HAS_AVERAGES = hasattr(pl.callbacks, "WeightAveraging")
NEEDS["callbacks=ema"] = (HAS_AVERAGES, r"needs pytorch-lightning 2\.6")
FINETUNE = ["experiment=finetune", "experiment=water_finetune"]
NEEDS.update(dict.fromkeys(FINETUNE, (False, "no weights to begin with")))
HAS_RAY = importlib.util.find_spec("hydra_plugins.hydra_ray_launcher") is not None
NEEDS["launcher=ray"] = (HAS_RAY, "hydra/launcher/ray")
NEEDS.update(dict.fromkeys(["accelerator=ipu", *PAPER_ON_IPUS], (HAS_POPTORCH, "needs PopTorch")))


def make_everything(cfg, tmp_path: Path) -> None:
    """Instantiate each group the way a run does."""
    check_config(cfg)
    instantiate(cfg.dataset)
    packer = instantiate(cfg.packer)
    assert packer([3, 4, 5], PackShape(9)).num_packs >= 2
    model = instantiate(cfg.model, readout=Readout())
    instantiate(cfg.objective)
    optimizer = instantiate(cfg.optimizer, _convert_="all")(model.parameters())
    schedule = instantiate(cfg.schedule)(optimizer, total_updates=10)
    assert schedule is None or {"scheduler", "interval"} <= set(schedule)
    for node in cfg.callbacks.values():
        if node is not None:
            callback = instantiate(node)
            callback = callback if isinstance(callback, pl.Callback) else callback(dirpath=tmp_path)
            assert isinstance(callback, pl.Callback)
    PackedDataModule({}, {}, batch_size=cfg.batch_size, seed=cfg.seed, **cfg.loader)
    instantiate(cfg.trainer, **instantiate(cfg.accelerator), logger=False, _convert_="all")


@pytest.mark.parametrize("option", OPTIONS)
def test_option_can_be_made(option, compose, tmp_path):
    here, without = NEEDS.get(option, (True, ""))
    if not here:
        with pytest.raises(Exception, match=without):
            make_everything(compose(option), tmp_path)
        return
    make_everything(compose(option), tmp_path)


@pytest.mark.parametrize("option", sorted(CONF.glob("logger/*.yaml")), ids=lambda path: path.stem)
def test_logger_option_takes_what_a_run_gives(option, compose, tmp_path):
    from gnnpack.tracking import finish_wandb

    make = instantiate(compose(f"logger={option.stem}").logger)
    try:
        loggers = make(tmp_path, name="name", config={"seed": 0}, resume_step=None)
        assert loggers[0].log_dir == str(tmp_path)
    finally:
        finish_wandb()


def test_defaults_are_those_of_the_main_job(compose):
    cfg, named = compose(), compose("dataset=qm9", "packer=lpfhp")
    assert cfg == named
    assert cfg.dataset.target == "U0"
    assert (cfg.dataset.split.train, cfg.dataset.split.val) == (110_000, 10_000)


def test_loader_options_are_the_places_there_are(compose):
    options = {file.stem for file in CONF.glob("loader/*.yaml")}
    assert options == set(PLACES)
    for option in options:
        assert compose(f"loader={option}").loader.place == option
    # Reached under the same name whichever option is taken.
    assert compose("loader=resident", "loader.prefetch=2").loader.prefetch == 2


def test_whole_steps_are_asked_for_by_a_number(compose):
    cfg = compose("accelerator=cpu", "accelerator.device_iterations=4")
    strategy = instantiate(cfg.accelerator)["strategy"]
    assert (type(strategy).__name__, strategy.device_iterations) == ("WholeStepStrategy", 4)


# Published with the code of arXiv 2211.13853: atoms and molecules of a pack, packs of a
# micro-batch, accumulation, replicas, device iterations.
PUBLISHED = {
    "paper_qm9_ipu": (36, None, 16, 2, 16, 4),
    "paper_hydronet_small_ipu": (192, 5, 7, 32, 16, 4),
    "paper_hydronet_medium_ipu": (192, 4, 7, 32, 16, 4),
    "paper_hydronet_large_ipu": (154, 5, 7, 32, 16, 4),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_paper_s_runs_on_ipus_have_its_shapes_and_batches(name, compose, tmp_path):
    cfg = compose(f"experiment={name}", "accelerator=ipu_emulator")
    make_everything(cfg, tmp_path)
    ours, shape = cfg.accelerator, cfg.shape
    found = (shape.num_atoms, shape.num_molecules, ours.micro_batch, ours.gradient_accumulation)
    assert (*found, ours.replicas, ours.device_iterations) == PUBLISHED[name]
    network = cfg.model
    assert (network.neighbours, network.num_neighbours, network.filter) == ("knn", 28, "exact")
    assert cfg.objective.weighting == "micro_batch_mean"


def test_the_emulator_takes_what_an_ipu_takes(compose):
    real, emulated = (
        compose(f"accelerator={name}").accelerator for name in ("ipu", "ipu_emulator")
    )
    assert {**emulated, "_target_": ""} == {**real, "_target_": ""}
    assert set(real) - {"_target_"} == set(IPUSettings.__dataclass_fields__)


def test_a_batch_is_sized_by_molecules_or_by_packs(compose):
    check_config(compose("accelerator=ipu", "accelerator.micro_batch=2", "batch_size=null"))
    with pytest.raises(ValueError, match="batch_size is None"):
        check_config(compose("batch_size=null"))


def test_shared_values_are_typed_once(compose):
    assert compose("cutoff=4.5").model.cutoff == 4.5


@pytest.mark.parametrize("option", OPTIONS)
def test_option_files_say_what_they_are(option):
    group, name = option.split("=")
    text = (CONF / group / f"{name}.yaml").read_text(encoding="utf-8")
    assert "#" in text, f"{option}: no word about what it is"


def test_a_wrong_option_lists_the_right_ones(compose):
    with pytest.raises(ConfigCompositionException, match=r"(?s)lpfph.*Available options.*lpfhp"):
        compose("packer=lpfph")


def test_a_misspelt_key_is_refused(compose):
    with pytest.raises(ConfigCompositionException, match="max_epoch"):
        compose("trainer.max_epoch=3")


@pytest.mark.parametrize(
    "overrides, message",
    [
        (["seed=-1"], "seed is -1"),
        (["seed=one"], "seed is 'one'"),
        (["trainer.max_epochs=0"], r"trainer\.max_epochs is 0"),
        (["trainer.limit_val_batches=0"], r"trainer\.limit_val_batches is 0"),
        (["batch_size=0"], "batch_size is 0"),
        (["batch_size=6.5"], r"batch_size is 6\.5"),
        (["shape=largest"], "shape is 'largest'"),
        (["dataset.target=???"], r"dataset\.target"),
        (["callbacks.early_stopping={patience: 3}"], r"callbacks\.early_stopping has no _target_"),
        (["~model._target_"], "model has no _target_"),
    ],
)
def test_configs_that_cannot_run_are_refused(compose, overrides, message):
    with pytest.raises(ValueError, match=message):
        check_config(compose(*overrides))


def test_shape_auto_is_all_null(compose):
    cfg = compose("shape=auto")
    check_config(cfg)
    assert set(compose().shape.values()) == {None}


def test_resolved_config_is_plain_yaml(compose):
    text = OmegaConf.to_yaml(compose(), resolve=True)
    assert "${" not in text
