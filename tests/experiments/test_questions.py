"""Sections on what sweeps ask: exact on made runs, silent on others, honest on few seeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnnpack.batching import packs_per_update
from gnnpack.experiments.comparison import comparisons
from gnnpack.experiments.filter_question import filter_question
from gnnpack.experiments.packer_question import packer_question
from gnnpack.experiments.packs_on_ranks import packs_on_ranks
from gnnpack.experiments.paper_ablation import STEPS, paper_ablation
from gnnpack.experiments.paper_model_size import paper_model_size
from gnnpack.experiments.paper_scaling import paper_scaling
from gnnpack.experiments.published import (
    ABLATION,
    MODEL_SIZE,
    STRONG_SCALING,
    over_the_first,
)
from gnnpack.experiments.report_numbers import spread
from gnnpack.experiments.run_folder import RunFacts
from gnnpack.experiments.scaling_lines import scaling_line
from gnnpack.experiments.scaling_setting import setting_of
from gnnpack.experiments.seed_statistics import half_width, stands_out
from gnnpack.experiments.seeds_question import seeds_question
from gnnpack.packing.scale_ranks import rank_packs

MAKERS = (
    packer_question,
    filter_question,
    seeds_question,
    paper_ablation,
    paper_scaling,
    paper_model_size,
)


def made(error=0.05, rate=1_000.0, *, seed=0, variant=None, summary=(), **config) -> RunFacts:
    """A run that ended; ``config`` is put over a small one."""
    told = {
        "unit": "eV",
        "test_mae": error,
        "baseline_mae": 2.0,
        "molecules_per_second_median": rate,
        "num_packs": 500,
        "num_molecules": 1_000,
        "pack_atoms": 36,
        "atom_efficiency": 0.9,
        **dict(summary),
    }
    run = RunFacts(Path(f"run{seed}"), "done", variant=variant, summary=told)
    run.__dict__["config"] = {
        "seed": seed,
        "batch_size": 64,
        "packer": {"_target_": "gnnpack.packing.lpfhp"},
        "model": {"hidden_channels": 64, "num_interactions": 2, "filter": "exact"},
        "accelerator": {"_target_": "gnnpack.accelerators.cpu", "devices": 1},
        **config,
    }
    run.__dict__["record"] = {"data": {"dataset": "qm9"}}
    return run


def packed(packer: str, error: float, seed: int, rate: float = 1_000.0, **more) -> RunFacts:
    return made(error, rate, seed=seed, packer={"_target_": f"gnnpack.packing.{packer}"}, **more)


@pytest.mark.parametrize("make", MAKERS)
def test_nothing_is_said_of_other_runs(make):
    assert make([]) is None
    assert make([RunFacts(Path("a"), "missing"), RunFacts(Path("b"), "failed", "killed")]) is None
    assert make([made()]) is None


# --- comparable runs ---


def test_runs_are_compared_only_where_all_else_is_equal():
    same = [packed("lpfhp", 0.05, 0), packed("optimal", 0.05, 0)]
    other = packed("one_per_pack", 0.05, 0, trainer={"max_epochs": 9})
    found = comparisons([*same, other], ("packer",), lambda run: run.config["packer"]["_target_"])
    assert [[len(answer.runs) for answer in one.answers] for one in found] == [[1, 1]]
    alone = packed("optimal", 0.05, 0, trainer={"max_epochs": 9})
    both = comparisons(
        [*same, other, alone], ("packer",), lambda run: run.config["packer"]["_target_"]
    )
    assert len(both) == 2
    assert len({one.name for one in both}) == 2
    assert all(one.name for one in both)


GPU = {"_target_": "gnnpack.accelerators.gpu", "devices": 1}
CPU = {"_target_": "gnnpack.accelerators.cpu", "devices": 1}
TABLE = {"_target_": "gnnpack.models.Tabulated", "order": "cubic", "num_knots": 16}
SIZES = [{"hidden_channels": width, "num_interactions": 2} for width in (64, 128)]
ASKED = {
    packer_question: [{"packer": {"_target_": f"gnnpack.packing.{n}"}} for n in ("lpfhp", "ffd")],
    filter_question: [{"model": {"filter": one}} for one in ("exact", TABLE)],
    paper_model_size: [{"model": size} for size in SIZES],
    paper_ablation: [{"variant": name, "loader": {"prefetch": name}} for name in STEPS],
}


@pytest.mark.parametrize("make", ASKED, ids=lambda make: make.__name__)
def test_what_was_measured_on_two_accelerators_tells_which(make):
    ends = {"num_epochs": 1}
    runs = [
        made(accelerator=node, summary=ends, **asked)
        for node in (CPU, GPU)
        for asked in ASKED[make]
    ]
    section = make(runs)
    rows = [row[0] for row in section.table.rows if not row[0].startswith("published")]
    assert len(rows) == 2 * len(ASKED[make])
    for kind in ("cpu", "gpu"):
        mine = [row for row in rows if row.startswith(f"qm9, 1,000 molecules, 1 epoch, {kind}")]
        assert len(mine) == len(ASKED[make])
    assert not any("(2)" in row or "epochs" in row or "gpu: gpu" in row for row in rows)
    names = {trace["name"] for trace in section.figure["data"]}
    assert all(any(kind in name for name in names) for kind in ("cpu", "gpu"))


def test_scaling_on_two_accelerators_tells_which():
    runs = [
        made(rate=devices * 10.0, accelerator={**node, "devices": devices, "strategy": "auto"})
        for node in (CPU, GPU)
        for devices in (2, 4)
    ]
    rows = {row[0] for row in paper_scaling(runs).table.rows if "measured here" in row[0]}
    assert {row.split(":")[0] for row in rows} == {
        "qm9, 1,000 molecules, cpu",
        "qm9, 1,000 molecules, gpu",
    }


def test_what_auto_found_is_no_other_seed():
    """The same command on a CPU and on a GPU: their rates are not of one answer."""
    runs = []
    for gpus, rate in (([], 10.0), (["NVIDIA H200"], 1_000.0)):
        for packer in ("lpfhp", "ffd"):
            node = {"_target_": "gnnpack.accelerators.auto"}
            runs.append(packed(packer, 0.05, 0, rate, accelerator=node))
            runs[-1].record["machine"] = {"gpus": gpus}
    rows = {row[0]: row[6] for row in packer_question(runs).table.rows}
    assert rows == {
        "qm9, 1,000 molecules, cpu: ffd, 36": "10",
        "qm9, 1,000 molecules, cpu: lpfhp, 36": "10",
        "qm9, 1,000 molecules, gpu: ffd, 36": "1,000",
        "qm9, 1,000 molecules, gpu: lpfhp, 36": "1,000",
    }


def test_settings_tell_what_neither_data_nor_accelerator_do():
    runs = [
        packed(packer, 0.05, 0, batch_size=batch, cutoff=cutoff)
        for batch, cutoff in ((64, 5), (64, 6), (128, 6))
        for packer in ("lpfhp", "optimal")
    ]
    found = comparisons(runs, ("packer",), lambda run: run.config["packer"]["_target_"])
    assert [one.name for one in found] == [
        "qm9, 1,000 molecules, cutoff=5",
        "qm9, 1,000 molecules, batch_size=64, cutoff=6",
        "qm9, 1,000 molecules, batch_size=128",
    ]


def test_where_a_run_lies_does_not_matter():
    one, other = packed("lpfhp", 0.05, 0, data_dir="/a"), packed("optimal", 0.05, 0, data_dir="/b")
    assert len(comparisons([one, other], ("packer",), lambda run: str(run.config["packer"]))) == 1


# --- differences by seed ---


def test_a_shift_common_to_all_seeds_is_seen_though_seeds_differ_more():
    errors = {0: 0.050, 1: 0.080, 2: 0.030}
    runs = [packed("one_per_pack", e, seed) for seed, e in errors.items()]
    # Seeds are 50 meV apart, the packer shifts each of them by 4.
    runs += [packed("lpfhp", e + 0.004 + 0.0001 * seed, seed) for seed, e in errors.items()]
    section = packer_question(runs)
    said = " ".join(section.sentences)
    assert "1 of 1 packers differ from one_per_pack" in said
    assert "lpfhp, 36 +4.1 ± 0.25 meV" in said
    row = next(row for row in section.table.rows if row[0].startswith("lpfhp"))
    assert row[2] == "+4.1 ± 0.25"
    assert row[3] == "3"


def test_a_difference_within_the_seeds_is_called_one():
    runs = [packed("one_per_pack", e, seed) for seed, e in enumerate((0.050, 0.052, 0.051))]
    runs += [packed("lpfhp", e, seed) for seed, e in enumerate((0.052, 0.050, 0.051))]
    said = " ".join(packer_question(runs).sentences)
    assert "None of the 1 packer differs from one_per_pack by more than its seeds explain" in said
    assert "differ from one_per_pack" not in said.replace("differs", "")


def test_one_seed_tells_nothing_of_a_difference():
    runs = [packed("one_per_pack", 0.05, 0), packed("lpfhp", 0.09, 0)]
    assert "One seed only" in packer_question(runs).sentences[0]


def test_pairs_are_those_of_the_same_seed():
    runs = [packed("one_per_pack", 0.05, 0), packed("one_per_pack", 0.07, 1)]
    runs += [packed("lpfhp", 0.06, 1), packed("lpfhp", 0.01, 2)]
    row = next(row for row in packer_question(runs).table.rows if row[0].startswith("lpfhp"))
    assert row[2] == "-10"


def test_a_seed_that_was_run_twice_counts_once_with_its_error_and_its_rate():
    runs = [packed("one_per_pack", 0.05, 0), packed("lpfhp", float("nan"), 0, 7.0)]
    runs += [packed("lpfhp", 0.06, 0, 1_000.0), packed("lpfhp", 0.09, 0, 3_000.0)]
    section = packer_question(runs)
    row = next(row for row in section.table.rows if row[0].startswith("lpfhp"))
    assert (row[2], row[3], row[-2]) == ("+10", "1", "1,000")
    assert [len(folders) for folders in section.table.folders] == [1, 1]


def test_a_mean_stands_out_exactly_above_its_interval():
    found = spread([1.0, 2.0, 3.0])
    width = half_width(found)
    assert stands_out(spread([value - 2.0 + 0.99 * width for value in (1.0, 2.0, 3.0)])) is False
    assert stands_out(spread([value - 2.0 + 1.01 * width for value in (1.0, 2.0, 3.0)])) is True


def test_rates_are_over_those_of_padding_and_packers_tell_their_filler():
    runs = [packed("one_per_pack", 0.05, 0, 400.0), packed("lpfhp", 0.05, 0, 1_000.0)]
    section = packer_question(runs)
    rows = {row[0]: row for row in section.table.rows}
    assert rows["lpfhp, 36"][-2:] == ["1,000", "2.50"]
    assert rows["one_per_pack, 36"][-1] == "1.00"
    assert rows["lpfhp, 36"][4] == "10.00"
    assert rows["lpfhp, 36"][5] == "64.0"


def test_sizes_of_one_packer_are_answers_of_their_own():
    runs = [packed("lpfhp", 0.05, 0), packed("lpfhp", 0.05, 0, summary={"pack_atoms": 128})]
    assert [row[0] for row in packer_question(runs).table.rows] == ["lpfhp, 36", "lpfhp, 128"]
    runs.append(packed("lpfhp", 0.05, 0, summary={"pack_atoms": None}))
    assert packer_question(runs).table.rows[0][0] == "lpfhp"


def test_tables_are_named_by_what_decides_their_size():
    table = {"_target_": "gnnpack.models.Tabulated", "tolerance": 1e-4, "order": "cubic"}
    filters = [
        "exact",
        {**table, "num_knots": None},
        {**table, "order": "linear", "num_knots": 16},
    ]
    runs = [
        made(0.05 + 0.001 * number, 100.0 * (1 + number), seed=seed, model={"filter": one})
        for number, one in enumerate(filters)
        for seed in (0, 1)
    ]
    section = filter_question(runs)
    names = [row[0] for row in section.table.rows]
    assert names == ["exact", "cubic, tolerance 0.0001", "linear, 16 knots"]
    assert section.table.rows[1][-1] == "2.00"
    assert section.table.rows[1][2].startswith("+1")


def test_seeds_are_told_of_one_config_alone():
    runs = [made(error, seed=seed) for seed, error in enumerate((0.050, 0.052, 0.054))]
    section = seeds_question(runs)
    assert "deviation of 2.0" in section.sentences[0]
    assert [row[0] for row in section.table.rows] == ["0", "1", "2"]
    assert seeds_question([*runs, made(batch_size=128)]) is None
    assert seeds_question(runs[:2]) is None


# --- the paper's figures ---


def ablation(rates, *, emulated=False) -> list[RunFacts]:
    return [
        made(
            rate=rate,
            variant=variant,
            summary={"emulated": emulated},
            model={"compiled": number > 2},
            loader={"prefetch": number},
        )
        for number, (variant, rate) in enumerate(zip(STEPS, rates))
    ]


def test_each_measure_is_over_padding_and_published_ratios_stand_apart():
    section = paper_ablation(ablation([100, 150, 200, 400, 500]))
    rows = section.table.rows
    assert [row[3] for row in rows] == ["1.00", "1.50", "2.00", "4.00", "5.00", ""]
    headings = list(section.table.headings)
    qm9 = [row[headings.index("published, QM9")] for row in rows]
    assert qm9 == ["1.00", "1.22", "1.42", "1.91", "", "1.80"]
    for trace in section.figure["data"]:
        assert trace["name"].startswith(("measured here: ", "published: "))


def test_emulated_runs_have_no_speed():
    section = paper_ablation(ablation([1, 2, 3, 4, 5], emulated=True))
    assert {row[2] for row in section.table.rows} == {"emulated", ""}
    assert {row[3] for row in section.table.rows} == {""}
    assert any("no speed" in sentence for sentence in section.sentences)
    assert all(trace["name"].startswith("published") for trace in section.figure["data"])


def on_devices(devices: int, batch: int, rate: float) -> RunFacts:
    node = {"_target_": "gnnpack.accelerators.cpu", "devices": devices}
    return made(rate=rate, accelerator=node, batch_size=batch)


def test_efficiency_is_from_the_smallest_number_measured():
    runs = [on_devices(2, 64, 1_000.0), on_devices(4, 64, 1_500.0), on_devices(4, 128, 2_000.0)]
    section = paper_scaling(runs)
    told = {(row[0], row[1]): row[2:5] for row in section.table.rows}
    strong, weak = (
        f"measured here: {kind}"
        for kind in ("strong, 64 molecules an update", "weak, 32 molecules a device")
    )
    assert told[strong, "2"] == ["1,000", "1.00", "100.0"]
    assert told[strong, "4"] == ["1,500", "1.50", "75.0"]
    assert told[weak, "4"] == ["2,000", "2.00", "100.0"]


def test_steps_made_in_other_ways_are_other_lines():
    """One GPU replays graphs and makes 16 updates a call; two cannot."""

    def on_gpus(devices, rate, **more):
        node = {"_target_": "gnnpack.accelerators.gpu", "devices": devices, "strategy": "auto"}
        loader = {"place": more.pop("place", "auto"), "prefetch": 4}
        return made(rate=rate, accelerator={**node, **more}, loader=loader)

    graph = on_gpus(1, 9_000.0)
    plain = [on_gpus(1, 1_000.0, strategy="single_device"), on_gpus(2, 1_500.0)]
    section = paper_scaling([graph, *plain])
    rows = [row for row in section.table.rows if row[0].startswith("measured")]
    assert [row[2:4] for row in rows] == [["1,000", "1.00"], ["1,500", "1.50"]]
    assert all("one update a call" in row[0] for row in rows)
    assert any("no line and not shown" in sentence for sentence in section.sentences)
    assert len([row for row in section.table.rows if row[0].startswith("on paper")]) == 6
    assert not any("no line" in sentence for sentence in paper_scaling(plain).sentences)
    # Place host is what auto is there.
    both = paper_scaling([*plain, on_gpus(4, 2_000.0, place="host", strategy="ddp")])
    assert len([row for row in both.table.rows if row[0].startswith("measured")]) == 3
    several = [on_gpus(d, d * 10.0, strategy="x", place=p) for d in (1, 2) for p in ("a", "b")]
    names = {row[0] for row in paper_scaling(several).table.rows if row[0].startswith("measured")}
    assert len(names) == 2


@pytest.mark.parametrize(
    "devices, number",
    [(2, 2), ("2", 2), ([0, 3, 5], 3), (-1, None), ("auto", None), ("0,1", None), (0, None)],
    ids=str,
)
def test_only_devices_that_are_told_are_counted(devices, number):
    node = {"_target_": "gnnpack.accelerators.cpu", "devices": devices, "num_nodes": 2}
    found = setting_of(made(accelerator=node))
    assert (found and found.devices) == (None if number is None else 2 * number)
    assert setting_of(made(batch_size=None)) is None


def test_on_paper_is_said_to_be_and_counts_packs_alone():
    section = paper_scaling([on_devices(1, 64, 10.0), on_devices(2, 64, 15.0)])
    paper = [row for row in section.table.rows if row[0].startswith("on paper")]
    # 500 packs, 32 an update: 16 updates, 12 packs empty, on up to 32 devices.
    assert paper[0][1:] == ["1", "", "1.00", "100.0", "32", "12", "64.0"]
    assert paper[5][1:] == ["32", "", "32.00", "100.0", "1", "12", "64.0"]
    # For 64 devices an update would have to hold twice as much.
    assert len(paper) == 6
    assert any("sum gradients" in sentence for sentence in section.sentences)


@pytest.mark.parametrize("ranks", [1, 2, 3, 8, 64, 100])
def test_paper_counts_what_a_training_would_cut(ranks):
    for num_packs, num_molecules, batch in ((500, 1_000, 64), (9_398, 130_831, 100), (101, 303, 7)):
        share = packs_on_ranks(num_packs, num_molecules, batch, ranks)
        packs = packs_per_update(
            batch, num_packs=num_packs, num_molecules=num_molecules, multiple_of=ranks
        )
        cut = rank_packs(num_packs, packs, ranks)
        assert share.packs_per_update == packs
        assert (share.updates, share.empty_packs) == (cut.updates, cut.empty_packs)
        assert share.packs_per_rank_update == cut.packs_per_rank_update


def test_cost_grows_from_the_smallest_network():
    runs = [
        made(rate=rate, model={"hidden_channels": features, "num_interactions": blocks})
        for (features, blocks), rate in {(64, 2): 1_000.0, (128, 2): 500.0, (64, 4): 800.0}.items()
    ]
    rows = {tuple(row[:2]): row for row in paper_model_size(runs).table.rows}
    assert [rows[size][3] for size in (("64", "2"), ("64", "4"), ("128", "2"))] == [
        "1.00",
        "1.25",
        "2.00",
    ]
    assert rows["128", "2"][4] == f"{1.28 / 1.22:.2f}"


def test_no_two_lines_of_networks_are_drawn_alike():
    runs = [
        made(rate=rate, batch_size=batch, model={"hidden_channels": width, "num_interactions": 2})
        for batch in (64, 128)
        for width, rate in ((64, 1_000.0), (128, 500.0))
    ]
    traces = paper_model_size(runs).figure["data"]
    looks = {(one["line"]["color"], one["line"]["dash"]) for one in traces}
    assert len(looks) == len(traces) == 2 + 3
    marks = {one["marker"]["symbol"] for one in traces if one["name"].startswith("published")}
    assert marks.isdisjoint(one["marker"]["symbol"] for one in traces[:2])


# --- published ---


def test_published_ablation_is_that_of_the_notebook():
    # Its own column "Throughput / Baseline".
    ratios = {
        "QM9": (1.217316, 1.421009, 1.909229, 1.797810),
        "HydroNet 500k": (1.091819, 1.104737, 1.257207, 1.192165),
        "HydroNet 2.7M": (1.183477, 1.159578, 1.354745, 1.373670),
        "HydroNet 4.5M": (1.166203, 1.207373, 1.363655, 1.400199),
    }
    for data, expected in ratios.items():
        assert tuple(over_the_first(ABLATION[data]).values())[1:] == pytest.approx(
            expected, abs=1e-6
        )
    # Mean seconds of an epoch stand beside the rates; both give the molecules of an epoch.
    seconds = {"packing": 1.220799, "prefetch depth 4": 0.826615}
    held = {step: second * ABLATION["QM9"][step] for step, second in seconds.items()}
    assert held["packing"] == pytest.approx(102_400, abs=1)
    assert held["prefetch depth 4"] == pytest.approx(102_400, abs=1)


def test_published_efficiencies_are_from_their_own_smallest_number():
    for data, rates in STRONG_SCALING.items():
        line = scaling_line(data, rates)
        efficiencies = [line.efficiency(point) for point in line.points]
        assert efficiencies[0] == 1
        assert max(efficiencies) < 1.05
    synthetic = scaling_line("", STRONG_SCALING["HydroNet 500k, no host input"])
    assert synthetic.efficiency(synthetic.points[-1]) == pytest.approx(0.978, abs=0.001)


def test_published_networks_are_the_sweep_s_grid():
    assert sorted(MODEL_SIZE) == [(f, b) for f in (64, 128, 256, 512) for b in (2, 4, 6)]
    assert max(MODEL_SIZE, key=MODEL_SIZE.__getitem__) == (512, 6)
