"""Every sweep and every scale composes; every job of a sweep can be made; one sweep really runs."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import instantiate
from omegaconf import OmegaConf
from tests.conf.test_configs import NEEDS, make_everything

from gnnpack.batching import packs_per_update
from gnnpack.commands.folders import conf_dir
from gnnpack.commands.sweep_jobs import Combination, variant_overrides, with_variant
from gnnpack.commands.sweeps_group import register_sweeps
from gnnpack.datasets.size_counts import size_counts
from gnnpack.packing import PackShape, lpfhp, one_per_pack, resolve_num_atoms
from gnnpack.run.config_check import check_config

SWEEPS = sorted((conf_dir().parent / "sweeps").glob("*.yaml"))
PAPER = (
    "paper_ablation",
    "paper_scaling",
    "paper_model_size",
    "packer_ablation",
    "filter_ablation",
    "seeds",
)
ACCELERATORS = ("cpu", "gpu", "ipu", "ipu_emulator")
NAMES = [path.stem for path in SWEEPS]


@pytest.fixture(autouse=True)
def _sweeps_group():
    register_sweeps()


def jobs_of(name: str, accelerator: str) -> list[list[str]]:
    """Overrides of the jobs as the sweeper makes them, but for other seeds and middle values."""
    file = next(path for path in SWEEPS if path.stem == name)
    sweeper = OmegaConf.load(file).hydra.sweeper
    params = {k: str(v).split(",") for k, v in (sweeper.get("params") or {}).items() if k != "seed"}
    # Of numbers in between nothing new is learnt.
    params = {key: [values[0], values[-1]] for key, values in params.items()}
    parser = OverridesParser.create()
    variants = variant_overrides(sweeper.get("variants") or {"": []}, accelerator)
    jobs = []
    for overrides in variants.values():
        if overrides is None:
            continue
        for values in itertools.product(*params.values()):
            told = {key: f"{key}={value}" for key, value in zip(params, values)}
            jobs.append(with_variant(Combination(told, {}), overrides, parser=parser))
    return jobs


def by_accelerator(name: str) -> bool:
    """Whether the sweep's variants are keyed by accelerators."""
    return name in ("paper_ablation", "paper_scaling")


CASES = [
    (name, accelerator)
    for name in PAPER
    for accelerator in (ACCELERATORS if by_accelerator(name) else ("cpu",))
    # The ablation's variants for an IPU and its emulator are the same; tested below.
    if (name, accelerator) != ("paper_ablation", "ipu")
]


def test_the_paper_s_sweeps_are_there():
    assert set(PAPER) <= set(NAMES)


@pytest.mark.parametrize("path", SWEEPS, ids=NAMES)
def test_a_sweep_says_what_it_asks(path):
    first, second, *_ = path.read_text(encoding="utf-8").splitlines()
    assert first == "# @package _global_"
    assert second.startswith("# ")
    assert OmegaConf.load(path).hydra.mode == "MULTIRUN"


@pytest.mark.parametrize("name", PAPER)
def test_the_paper_s_sweeps_are_small_on_qm9_and_must_learn(name, compose):
    cfg = compose(f"sweeps={name}")
    assert cfg.dataset._target_ == "gnnpack.datasets.QM9"
    assert (cfg.dataset.split.train, cfg.dataset.split.test) == (20_000, 10_000)
    assert cfg.logger._target_ == "gnnpack.tracking.csv_only"
    assert OmegaConf.load(SWEEPS[NAMES.index(name)]).hydra.sweeper.must_learn is True


@pytest.mark.parametrize("name, accelerator", CASES)
def test_every_job_can_be_made(name, accelerator, compose, tmp_path, torch_threads):
    jobs = jobs_of(name, accelerator)
    assert len(jobs) >= (3 if by_accelerator(name) else 1)
    common = [f"sweeps={name}", f"accelerator={accelerator}"]
    here, without = NEEDS.get(f"accelerator={accelerator}", (True, ""))
    if not here:
        # They differ in numbers alone, and nothing can be made of them here.
        jobs = [jobs[0], jobs[-1]]
    made = []
    for job in jobs:
        small = compose(*common, "scale=smoke", "dataset=synthetic", *job)
        made.append(small)
        if here:
            make_everything(small, tmp_path)
        else:
            with pytest.raises(Exception, match=without):
                make_everything(small, tmp_path)
    # No two jobs are the same run.
    assert all(one != other for one, other in itertools.combinations(made, 2))


@pytest.mark.parametrize("accelerator", ACCELERATORS)
def test_each_measure_of_the_ablation_is_added_to_those_before(accelerator):
    file = SWEEPS[NAMES.index("paper_ablation")]
    variants = variant_overrides(OmegaConf.load(file).hydra.sweeper.variants, accelerator)
    assert list(variants) == [
        "padding",
        "packing",
        "prefetch",
        "device_optimisations",
        "device_iterations",
    ]
    padding, packing, prefetch, optimised, iterations = (set(v) for v in variants.values())
    assert padding ^ packing == {"packer=one_per_pack", "packer=lpfhp"}
    # What the baseline switches off comes back, never the other way.
    assert prefetch < packing
    off = {one for one in prefetch if "device" not in one and one != "packer=lpfhp"}
    assert not off & optimised
    added = iterations - optimised
    assert len(added) == 1
    assert added.pop().startswith("accelerator.device_iterations=")
    if accelerator == "ipu":
        emulated = variant_overrides(OmegaConf.load(file).hydra.sweeper.variants, "ipu_emulator")
        assert variants == emulated


def test_updates_of_the_ablation_hold_the_same_molecules():
    sizes, counts = size_counts("qm9")
    held = []
    for packer, batch in ((one_per_pack, 64), (lpfhp, 64)):
        shape = resolve_num_atoms(packer, sizes.repeat(counts), PackShape(None))
        plan = packer(sizes.repeat(counts), shape)
        molecules = len(plan.molecules)
        packs = packs_per_update(batch, num_packs=plan.num_packs, num_molecules=molecules)
        held.append(packs * molecules / plan.num_packs)
    assert held[0] == 64
    assert held[1] == pytest.approx(64, rel=0.02)


@pytest.mark.parametrize("accelerator", ACCELERATORS)
def test_scaling_keeps_the_update_or_the_device_s_share(accelerator):
    file = SWEEPS[NAMES.index("paper_scaling")]
    variants = variant_overrides(OmegaConf.load(file).hydra.sweeper.variants, accelerator)
    numbers = {}
    for name, overrides in variants.items():
        if overrides is None:
            continue
        told = dict(override.split("=") for override in overrides)
        devices = told.get("accelerator.devices") or told["accelerator.replicas"]
        numbers[name] = (int(devices), int(told["batch_size"]))
        # So that processes of one machine do not share a core.
        assert told.get("accelerator.num_threads") == ("1" if accelerator == "cpu" else None)
    devices, batch = numbers.pop("one")
    assert devices == 1
    for name, (devices, molecules) in numbers.items():
        kind, number = name.split("_")
        assert devices == int(number)
        assert molecules == (batch if kind == "strong" else batch * devices)


def test_best_fit_decreasing_is_left_out_because_it_is_lpfhp():
    from gnnpack.packing import best_fit_decreasing

    sizes, counts = size_counts("qm9")
    patterns = []
    for packer in (lpfhp, best_fit_decreasing):
        atoms = sizes.repeat(counts)
        plan = packer(atoms, resolve_num_atoms(packer, atoms, PackShape(None)))
        parts = zip(plan.offsets[:-1], plan.offsets[1:])
        packs = (tuple(sorted(atoms[plan.molecules[a:b]].tolist())) for a, b in parts)
        patterns.append(sorted(packs))
    assert patterns[0] == patterns[1]


def test_all_other_packers_take_part():
    options = {path.stem for path in conf_dir().glob("packer/*.yaml")}
    jobs = [override for job in jobs_of("packer_ablation", "cpu") for override in job]
    asked = {override.split("=")[1] for override in jobs if override.startswith("packer=")}
    assert options - asked == {"best_fit_decreasing"}


@pytest.mark.parametrize(
    "dataset", ["qm9", "synthetic", "water_clusters", "hydronet", "structures"]
)
@pytest.mark.parametrize("scale", ["smoke", "small"])
def test_every_scale_is_one_of_every_data_set(scale, dataset, compose):
    more = ["dataset.path=a.xyz"] if dataset == "structures" else []
    cfg = compose(f"dataset={dataset}", f"scale={scale}", *more)
    check_config(cfg)
    whole = compose(f"dataset={dataset}", *more)
    assert cfg.trainer.max_epochs != whole.trainer.max_epochs
    # No key but those of the whole config: scale files are merged before keys are checked.
    assert flat_keys(cfg) == flat_keys(whole)
    sizes = cfg.dataset.split
    if isinstance(sizes.train, int):
        assert (sizes.train, sizes.val, sizes.test) < (20_001, 2_001, 10_001)


def test_the_full_scale_changes_nothing(compose):
    assert compose("scale=full") == compose()


def flat_keys(node, name: str = "") -> set[str]:
    """Dotted names of all values."""
    if not OmegaConf.is_dict(node):
        return {name}
    return set().union({name}, *(flat_keys(node._get_node(k), f"{name}.{k}") for k in node))


def test_made_molecules_of_every_scale_are_enough_for_its_split(compose):
    for dataset in ("synthetic", "water_clusters"):
        for scale in ("smoke", "small"):
            made = instantiate(compose(f"dataset={dataset}", f"scale={scale}").dataset)
            split = made.make_split(range(made.num_molecules), seed=0)
            assert all(len(part) for part in split)


def test_a_later_choice_of_data_set_or_scale_wins(compose):
    cfg = compose("sweeps=seeds", "dataset=synthetic", "scale=smoke")
    assert (cfg.dataset.num_molecules, cfg.batch_size) == (1_000, 32)
    assert compose("sweeps=seeds", "scale=full").dataset.split.train == 110_000


def test_a_sweep_runs_learns_and_is_told(tmp_path, monkeypatch):
    import sys

    from gnnpack.commands.main import main
    from gnnpack.experiments.find_runs import find_runs
    from gnnpack.experiments.packer_question import packer_question

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GNNPACK_DATA", raising=False)
    file = SWEEPS[NAMES.index("packer_ablation")]
    others = set(OmegaConf.load(file).hydra.sweeper.variants) - {"one_per_pack", "lpfhp"}
    less = [f"~hydra.sweeper.variants.{name}" for name in sorted(others)]
    asked = ["sweeps=packer_ablation", "scale=smoke", "dataset=synthetic", "accelerator=cpu"]
    monkeypatch.setattr(sys, "argv", ["gnnpack", "train", *asked, "seed=0", *less])
    GlobalHydra.instance().clear()
    main()
    runs = find_runs([Path("outputs")])
    assert [run.state for run in runs] == ["done", "done"]
    assert all(run.summary["test_mae"] < run.summary["baseline_mae"] for run in runs)
    section = packer_question(runs)
    assert section is not None
    assert section.table is not None
    assert [row[0].split(",")[0] for row in section.table.rows] == ["one_per_pack", "lpfhp"]
    assert len(section.figure["data"]) == 2
