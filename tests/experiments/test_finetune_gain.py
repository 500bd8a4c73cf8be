"""The section on what pretrained weights are worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gnnpack.experiments.finetune_gain import finetune_gain
from gnnpack.experiments.run_folder import RunFacts

TUNED = {"head": "keep", "freeze": "none", "body_lr": 0.3, "from_scratch": False}
SCRATCH = {**TUNED, "body_lr": 1.0, "from_scratch": True}
FROZEN = {**TUNED, "freeze": ["embedding", 0]}


def made(settings, molecules: int, seed: int, error: float, **changes) -> RunFacts:
    """A run that has ended; error in eV."""
    run = RunFacts(Path(f"{settings['from_scratch']}_{molecules}_{seed}"), "done")
    run.summary = {"test_mae": error, "unit": "eV", "num_molecules": molecules}
    config = {
        "seed": seed,
        "checkpoint": "outputs/water_pretrain",
        "finetune": settings,
        "dataset": {"model": "spc-fw", "split": {"train": molecules, "seed": seed}},
        "trainer": {"max_steps": 300},
    }
    run.config = {**config, **changes}
    run.record = {"data": {"dataset": "water_clusters"}}
    if not settings["from_scratch"]:
        origin = {"path": "outputs/a.ckpt", "sha256": "ab" * 32, "updates": 10000}
        run.record["pretrained"] = {**origin, "target": "energy", "dataset": "WaterClusters"}
    return run


@pytest.fixture
def runs() -> list[RunFacts]:
    errors = {25: (0.060, 0.020), 100: (0.050, 0.015), 400: (0.018, 0.012)}
    found = []
    for molecules, (scratch, tuned) in errors.items():
        for seed in (0, 1, 2):
            apart = 0.001 * (seed - 1)
            found.append(made(SCRATCH, molecules, seed, scratch + apart))
            found.append(made(TUNED, molecules, seed, tuned + apart))
    return found


def test_the_gain_and_what_catches_up_are_told(runs):
    section = finetune_gain(runs)
    told, began = section.sentences
    begun = "fine-tuned, body at 0.3 of the rate: at best, with 100 molecules, 15.0 ± 1.0 meV"
    assert told.startswith(begun)
    assert "from scratch 50.0 ± 1.0 meV, 3.3 times as much" in told
    assert "For the 20.0 meV of 25 molecules, 400 suffice from scratch." in told
    assert "energy of WaterClusters (10,000 updates; outputs/a.ckpt, SHA-256 abababababab)" in began


def test_the_table_and_the_lines_have_the_spread_over_seeds(runs):
    section = finetune_gain(list(reversed(runs)))
    rows = [tuple(row) for row in section.table.rows]
    assert rows[0] == ("fine-tuned, body at 0.3 of the rate", "25", "20.00 ± 1.0", "3", "3.00")
    assert rows[1] == ("from scratch", "25", "60.00 ± 1.0", "3", "")
    assert len(rows) == len(section.table.folders) == 6
    scratch, tuned = section.figure["data"]
    assert (scratch["name"], scratch["x"]) == ("from scratch", [25, 100, 400])
    assert tuned["y"] == pytest.approx([20.0, 15.0, 12.0])
    assert tuned["error_y"]["array"] == pytest.approx([1.0, 1.0, 1.0])
    assert section.figure["layout"]["xaxis"]["tickvals"] == [25, 100, 400]


def test_molecules_that_nobody_reaches_are_told(runs):
    few = [run for run in runs if run.summary["num_molecules"] < 400]
    assert "100 do not suffice from scratch" in finetune_gain(few).sentences[0]


def test_ways_of_fine_tuning_are_told_apart(runs):
    runs += [made(FROZEN, 25, seed, 0.018) for seed in (0, 1)]
    runs += [made({**TUNED, "head": "new", "body_lr": 1.0}, 25, 0, 0.03)]
    names = [trace["name"] for trace in finetune_gain(runs).figure["data"]]
    assert names == [
        "from scratch",
        "fine-tuned, body at 0.3 of the rate",
        "fine-tuned, embedding and 0 frozen, body at 0.3 of the rate",
        "fine-tuned, new head",
    ]


def test_they_are_compared_over_the_same_seeds_of_runs_and_molecules(runs):
    def split(train, seed, **more):
        return {"model": "spc-fw", "split": {"train": train, "seed": seed, **more}}

    # Without a partner: other molecules for training, and a seed of its own.
    alone = [made(TUNED, 25, 0, 0.9, dataset=split(25, 7)), made(SCRATCH, 25, 9, 0.9)]
    rows = finetune_gain([*runs, *alone]).table.rows
    assert [(row[2], row[4]) for row in rows[:1]] == [("240.0 ± 440", "3.00")]
    assert "400 suffice" in finetune_gain([*runs, *alone]).sentences[0]
    # Other molecules for testing: nothing is compared.
    tuned = [made(TUNED, 25, 0, 0.01, dataset=split(25, 0, test=80))]
    assert finetune_gain([*tuned, made(SCRATCH, 25, 0, 0.06)]) is None


def test_weights_of_different_checkpoints_are_told_apart(runs):
    other = made(TUNED, 25, 0, 0.03, checkpoint="outputs/other")
    other.record["pretrained"]["sha256"] = "cd" * 32
    section = finetune_gain([*runs, other])
    names = [trace["name"] for trace in section.figure["data"]]
    assert names == [
        "from scratch",
        "fine-tuned, body at 0.3 of the rate, from abababab",
        "fine-tuned, body at 0.3 of the rate, from cdcdcdcd",
    ]
    assert "cdcdcdcd: at best, with 25 molecules, 30.0 meV, from scratch 59.0" in " ".join(
        section.sentences
    )


def test_runs_of_another_length_or_network_are_not_compared(runs):
    scratch = [run for run in runs if run.config["finetune"]["from_scratch"]]
    longer = [made(TUNED, 25, seed, 0.02, trainer={"max_steps": 900}) for seed in (0, 1)]
    wider = [made(TUNED, 25, 0, 0.02, model={"hidden_channels": 128})]
    assert finetune_gain([*scratch, *longer, *wider]) is None
    # Beside each other they are comparisons of their own.
    longer += [made(SCRATCH, 25, 0, 0.05, trainer={"max_steps": 900})]
    assert len(finetune_gain([*runs, *longer]).figure["data"]) == 4


def test_nothing_is_said_of_other_runs(runs):
    assert finetune_gain([]) is None
    for kind in (True, False):
        one = [run for run in runs if run.config["finetune"]["from_scratch"] == kind]
        assert finetune_gain(one) is None
    plain = [made(TUNED, 25, 0, 0.1, checkpoint=None), made(SCRATCH, 25, 0, 0.1, finetune=None)]
    failed = [replace(run, summary={}) for run in runs]
    assert finetune_gain([*plain, *failed]) is None
    damaged = [made(TUNED, 25, 0, float("nan")), made(SCRATCH, 25, 0, 0.1, dataset=None)]
    assert finetune_gain(damaged) is None


def test_it_can_be_drawn(runs):
    from gnnpack.experiments.report_drawing import draw

    png, svg = draw(finetune_gain(runs).figure)
    assert png.startswith(b"\x89PNG")
    assert "training molecules" in svg or "<path" in svg


def test_two_accelerators_are_told_and_no_number_of_molecules_that_is_not_shared():
    found = []
    for kind in ("cpu", "gpu"):
        node = {"_target_": f"gnnpack.accelerators.{kind}"}
        for molecules in (25, 100):
            found.append(made(SCRATCH, molecules, 0, 0.06, accelerator=node))
            found.append(made(TUNED, molecules, 0, 0.02, accelerator=node))
    begun = {row[0].split(": ")[0] for row in finetune_gain(found).table.rows}
    assert begun == {"water_clusters, cpu", "water_clusters, gpu"}
