"""`gnnpack wandb`: what waits, uploading with a recorder in W&B's place, and sweep definitions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Sequence

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from gnnpack.commands import wandb as command
from gnnpack.commands.folders import conf_dir, register_resolvers
from gnnpack.commands.variant import expand_variant, read_sweep
from gnnpack.commands.wandb_sweeps import definition
from gnnpack.experiments.find_runs import find_runs
from gnnpack.experiments.packer_question import packer_question
from gnnpack.experiments.paper_ablation import paper_ablation
from gnnpack.tracking.wandb_file import write_records
from gnnpack.tracking.wandb_sync import UploadError
from tests.run.conftest import SMALL

ROOT = Path(__file__).resolve().parents[2]
SWEEPS = sorted(ROOT.glob("sweeps/*.yaml"))


def add_run(folder: Path, run_id: str, *, ended: bool = True) -> Path:
    from wandb.proto import wandb_internal_pb2

    part = folder / "wandb" / f"offline-run-20260101_000000-{run_id}"
    part.mkdir(parents=True)
    begin, end = wandb_internal_pb2.Record(), wandb_internal_pb2.Record()
    begin.run.run_id, begin.run.project = run_id, "p"
    end.exit.exit_code = 0
    records = [begin, end] if ended else [begin]
    write_records(part / f"run-{run_id}.wandb", [one.SerializeToString() for one in records])
    return part


@pytest.fixture
def outputs(folder) -> Path:
    for name in ("one", "two"):
        add_run(folder / "outputs" / "2026-01-01" / name, f"id{name}")
    return folder / "outputs"


def test_what_waits_is_listed(gnnpack, outputs, capsys):
    add_run(outputs / "three", "idthree", ended=False)
    gnnpack("wandb")
    told = capsys.readouterr().out
    assert "2026-01-01/one  idone  waits" in told
    assert "idthree  running" in told
    assert "3 waiting" in told


def test_nothing_waits_where_there_is_nothing(gnnpack, folder, capsys):
    gnnpack("wandb")
    assert "Nothing waits" in capsys.readouterr().out


def test_sync_uploads_each_once_and_tells(outputs, capsys):
    sent: list[str] = []

    def upload(folder: Path, keep_open: Sequence[int]) -> None:
        sent.append(folder.name)

    assert command.sync(["--dry-run"], upload, lambda: None) == 0
    assert sent == []
    assert command.sync([], upload, lambda: None) == 0
    assert "2 uploaded." in capsys.readouterr().out
    assert command.sync([], upload, lambda: None) == 0
    assert len(sent) == 2


def test_sync_tells_what_failed_by_its_status(outputs, capsys):
    def upload(folder: Path, keep_open: Sequence[int]) -> None:
        raise UploadError("the project is closed")

    assert command.sync([str(outputs)], upload, lambda: None) == 1
    told = capsys.readouterr().out
    assert "failed: the project is closed" in told
    assert "2 failed." in told


def test_without_a_key_nothing_is_begun(gnnpack, outputs, monkeypatch, tmp_path):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(SystemExit, match="wandb login"):
        gnnpack("wandb", "sync")
    assert not list(outputs.rglob("sent.json"))


def test_a_path_that_is_not_there(gnnpack, folder):
    with pytest.raises(SystemExit, match=r"There is no .*nowhere"):
        gnnpack("wandb", "nowhere")


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_the_kept_definition_is_what_the_command_writes(path):
    kept = path.parent / "wandb" / path.name
    assert kept.read_text(encoding="utf-8") == definition(path), "run `gnnpack wandb sweeps`"


def test_every_kept_definition_is_of_a_sweep():
    kept = sorted(ROOT.glob("sweeps/wandb/*.yaml"))
    assert [path.name for path in kept] == [path.name for path in SWEEPS]


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_what_an_agent_types_composes(path, folder):
    content = yaml.safe_load((path.parent / "wandb" / path.name).read_text(encoding="utf-8"))
    words = []
    for name, parameter in content["parameters"].items():
        values = parameter.get("values") or [parameter["min"], parameter["max"]]
        # As the agent does with ${args_no_hyphens}.
        words.append(f"{name}={values[-1]}")
    line = [
        word
        for word in content["command"]
        if "${" not in word and word not in ("python", "train.py")
    ]
    register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose("config", expand_variant([*line, *words]), return_hydra_config=True)
    assert config.hydra.mode.name == "RUN"
    assert config.logger.offline is False
    for name in content["parameters"]:
        # Others are options of a group.
        if name != "variant" and "." in name:
            assert str(OmegaConf.select(config, name)) == str(content_value(content, name))


def content_value(content: dict, name: str):
    parameter = content["parameters"][name]
    return (parameter.get("values") or [parameter["max"]])[-1]


def test_what_only_the_user_knows_stands_in_the_command(folder):
    text = definition(ROOT / "sweeps" / "finetune_gain.yaml")
    assert "checkpoint=YOURS" in yaml.safe_load(text)["command"]
    assert "# checkpoint=YOURS in the command: put yours there" in text
    assert "YOURS" not in definition(ROOT / "sweeps" / "seeds.yaml")


def test_wandb_definitions_are_no_sweeps_of_ours(folder):
    from gnnpack.commands.sweeps_group import SweepsSource

    source = SweepsSource("test", f"gnnpack-sweeps://{ROOT / 'sweeps'}")
    assert "wandb" not in source.list("sweeps", None)
    assert not source.is_config("sweeps/wandb/seeds")


def test_a_variant_is_a_run_of_its_own(folder):
    line = expand_variant(["sweeps=paper_ablation", "variant=packing"])
    variants = read_sweep("paper_ablation")["hydra"]["sweeper"]["variants"]
    one_run = ["sweeps=paper_ablation", "hydra.mode=RUN"]
    assert line[:-1] == [*variants["packing"]["cpu"], *one_run]
    # A process of another rank begins with the same words.
    assert expand_variant(line) == line
    other = expand_variant(
        ["variant=packing", "accelerator=gpu", "sweeps=paper_ablation", "packer=optimal"]
    )
    assert "loader=host" in other
    assert [word for word in other if word.startswith("packer=")] == ["packer=optimal"]
    assert expand_variant(["packer=lpfhp"]) == ["packer=lpfhp"]


@pytest.mark.parametrize(
    "line, message",
    [
        (["variant=packing"], "needs one sweeps=NAME"),
        (["sweeps=paper_ablation", "variant=nothing"], "There are: padding"),
        (["sweeps=paper_scaling", "variant=strong_16"], "nothing for accelerator=cpu"),
        (["sweeps=paper_ablation", "variant=packing", "-m"], "one run, and -m begins many"),
        (["sweeps=no_such", "variant=x"], "There are: .*paper_ablation"),
    ],
)
def test_a_variant_that_is_not_there(folder, line, message):
    with pytest.raises(ValueError, match=message):
        expand_variant(line)


def test_the_report_finds_the_variants_that_agents_ran(gnnpack, folder):
    """Started with the words of the generated sweep's command, but for W&B itself."""
    words = ["sweeps=paper_ablation", "hydra.mode=RUN", "dataset=synthetic", *SMALL]
    for name in ("padding", "packing"):
        gnnpack("train", *words, "trainer.max_epochs=1", f"variant={name}")
    runs = find_runs([folder / "outputs"])
    assert sorted(run.variant or "" for run in runs) == ["packing", "padding"]
    assert all(list(run.typed)[-1] == f"variant={run.variant}" for run in runs)
    assert "GNNPACK_VARIANT" not in os.environ
    section = paper_ablation(runs)
    assert [row[1] for row in section.table.rows[:2]] == ["padding", "+ packing"]
    assert packer_question(runs) is None


def test_what_wandb_cannot_say_is_told(tmp_path):
    (tmp_path / "x.yaml").write_text(
        "# x\nhydra: {sweeper: {space: {a: {low: 1, high: 1000, log: true}, b: {low: 0, high: 9, "
        "step: 3}, c: {low: 0.0, high: 1.0, step: 0.01}}, sampler: random, pruner: none}}\n"
    )
    text = definition(tmp_path / "x.yaml")
    found = yaml.safe_load(text)
    assert "no whole numbers on a log scale" in text
    assert found["parameters"]["a"]["values"][0::11] == [1, 1000]
    assert found["parameters"]["b"]["values"] == [0, 3, 6, 9]
    assert found["parameters"]["c"] == {
        "distribution": "q_uniform",
        "min": 0.0,
        "max": 1.0,
        "q": 0.01,
    }
    assert found["method"] == "random"
    assert "early_terminate" not in found
