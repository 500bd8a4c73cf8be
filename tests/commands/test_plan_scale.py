"""`gnnpack plan accelerator.devices=K accelerator.num_nodes=N`: an epoch of many ranks on paper."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from gnnpack.batching import PackLoader, PackSource, assemble
from gnnpack.commands.plan_scale_paper import STORE_BYTES_OF_ATOM, Paper, pace
from gnnpack.commands.plan_scale_rates import device_rates, published_rates
from gnnpack.models import SchNet
from gnnpack.packing import PackShape, lpfhp, optimal
from gnnpack.packing.advice_sizes import check_histogram
from gnnpack.packing.scale_counts import scaled_counts
from gnnpack.packing.scale_ranks import rank_molecules, rank_packs
from tests.conftest import make_source

ROOT = Path(__file__).resolve().parents[2]
SHAPE = PackShape(24)


@pytest.fixture
def plan(gnnpack, capsys):
    """Run `gnnpack plan ARGUMENTS`; what it printed, on one line."""

    def call(*arguments: str) -> str:
        gnnpack("plan", *arguments)
        return " ".join(capsys.readouterr().out.split())

    return call


@pytest.fixture
def sizes(folder):
    """A file of the sizes of 600 molecules."""
    np.save(folder / "mine.npy", np.array([3, 4, 5, 7, 9, 9] * 100))
    return "sizes=mine.npy"


def report_of(plan, folder, *arguments):
    """What the command writes as JSON."""
    plan(*arguments, f"out={folder / 'scale'}")
    return json.loads((folder / "scale" / "plan_at_scale.json").read_text(encoding="utf-8"))


def paper_of(source: PackSource, devices: int, num_nodes: int, packs: int) -> Paper:
    made = optimal(source.num_atoms, SHAPE)
    return Paper(
        num_molecules=made.num_molecules,
        total_atoms=int(source.num_atoms.sum()),
        num_atoms=24,
        molecule_slots=made.molecule_capacity + 1,
        lower_bound=made.lower_bound,
        ranks=rank_packs(made.num_packs, packs, devices * num_nodes),
        devices=devices,
        num_nodes=num_nodes,
        num_parameters=1000,
    )


# --- the same distribution, more molecules ---


@pytest.mark.parametrize("number", [1, 2, 7, 60, 61, 599, 1_000_003, 98_000_000])
def test_scaled_counts_keep_the_distribution(number):
    sizes, counts = np.array([3, 4, 5, 9]), np.array([10, 1, 29, 20])
    scaled_sizes, scaled = scaled_counts(sizes, counts, number)
    assert scaled.sum() == number
    check_histogram(scaled_sizes, scaled)
    there = np.isin(sizes, scaled_sizes)
    # Hamilton: shares rounded down, and one more for those that lost most in it.
    all_scaled = np.zeros(sizes.size, dtype=np.int64)
    all_scaled[there] = scaled
    more = all_scaled - counts * number // counts.sum()
    assert set(more.tolist()) <= {0, 1}
    lost = counts * number % counts.sum()
    assert lost[more == 1].min(initial=counts.sum()) >= lost[more == 0].max(initial=0)


def test_scaling_by_a_whole_number_is_exact():
    _, scaled = scaled_counts([3, 4], [10, 7], 170)
    assert scaled.tolist() == [100, 70]


# --- who gets what ---


@pytest.mark.parametrize("world_size, packs", [(1, 1), (1, 5), (2, 4), (3, 3), (4, 12), (5, 20)])
@pytest.mark.parametrize("packer", [optimal, lpfhp])
def test_every_rank_is_what_its_shard_is(packer, world_size, packs):
    made = packer(make_source(200).num_atoms, SHAPE).epoch(0, 3)
    ranks = rank_packs(made.num_packs, packs, world_size)
    counted = rank_molecules(made, packs, world_size)
    shards = [made.shard(rank, world_size, packs) for rank in range(world_size)]
    assert counted.tolist() == [shard.num_molecules for shard in shards]
    assert counted.sum() == made.num_molecules
    assert {shard.num_packs for shard in shards} == {ranks.packs_per_rank}
    assert sum(shard.num_packs for shard in shards) == made.num_packs + ranks.empty_packs
    assert 0 <= ranks.empty_packs < packs


@pytest.mark.parametrize(
    "arguments, said",
    [
        ((0, 1, 1), "num_packs=0"),
        ((5, 4, 0), "world_size=0"),
        (
            (50, 5, 2),
            "packs_per_update=5 is not a positive multiple of world_size=2; raise it to 6",
        ),
        ((3, 4, 4), "4 ranks share 3 packs: some would get no molecule.*at most 3 ranks"),
    ],
)
def test_ranks_that_cannot_be_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        rank_packs(*arguments)


# --- bytes and rates, counted by hand ---


def test_bytes_are_those_of_the_batches_that_training_makes():
    source = make_source(120)
    paper = paper_of(source, devices=2, num_nodes=2, packs=8)
    loader = PackLoader(
        source, optimal(source.num_atoms, SHAPE), packs_per_update=8, rank=1, world_size=4
    )
    batches = list(loader)
    assert len(batches) == paper.ranks.updates
    assert {sum(t.numel() * t.element_size() for t in batch) for batch in batches} == {
        paper.rank_batch_bytes
    }
    assert paper.host_batch_bytes == 2 * paper.rank_batch_bytes


def test_store_bytes_are_those_of_the_columns():
    source = make_source(120)
    paper = paper_of(source, devices=3, num_nodes=1, packs=3)
    columns = source.z.nbytes + source.pos.nbytes + source.target.nbytes + source.rows.nbytes
    # Every host's store is read once an epoch; empty packs read nothing.
    assert paper.host_store_bytes * paper.ranks.num_packs / 3 == pytest.approx(columns)
    assert source.z.itemsize + 3 * source.pos.itemsize == STORE_BYTES_OF_ATOM


def test_the_ring_sends_what_its_steps_add_up_to():
    for world_size in (1, 2, 4, 5):
        paper = paper_of(make_source(120), world_size, 1, world_size)
        # Sums, then results: N - 1 steps each, a share of 1 / N over every link.
        sent = sum(4000 / world_size for _ in range(paper.sum_steps))
        assert paper.link_bytes == pytest.approx(sent)
    assert paper_of(make_source(120), 1, 1, 1).link_bytes == 0


def test_the_default_parameters_are_those_of_the_default_model(plan, folder, sizes):
    found = report_of(plan, folder, sizes, "accelerator.devices=2", "rate=100")["on_paper"]
    assert found["num_parameters"] == sum(p.numel() for p in SchNet().parameters())
    assert found["gradient_bytes"] == sum(
        p.numel() * p.element_size() for p in SchNet().parameters()
    )


def test_a_pace_adds_up():
    paper = paper_of(make_source(120), devices=2, num_nodes=2, packs=8)
    found = pace(paper, 50.0)
    packs = paper.ranks.updates * 8
    # All devices work the whole epoch, at as many packs a second each; empty ones cost too.
    assert found.epoch_seconds * 4 * 50 == pytest.approx(packs * paper.molecules_per_pack)
    assert found.epoch_seconds >= paper.num_molecules / (4 * 50)
    assert found.host_molecules_per_second * paper.num_nodes == found.molecules_per_second
    updates_per_second = 1 / found.seconds_per_update
    assert found.host_molecules_per_second == pytest.approx(
        paper.molecules_per_update / 2 * updates_per_second
    )
    assert found.link_bytes_per_second == pytest.approx(paper.link_bytes * updates_per_second)
    assert pace(paper, 100.0).epoch_seconds == pytest.approx(found.epoch_seconds / 2)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_a_pace_needs_a_rate(rate):
    with pytest.raises(ValueError, match="must be above 0"):
        pace(paper_of(make_source(60), 1, 1, 1), rate)


def test_published_rates_are_by_atoms_and_say_so():
    rates = {rate.device: rate for rate in published_rates("qm9", 2_359_210 / 130_831)}
    assert rates["a Bow IPU"].molecules_per_second == pytest.approx(28_880)
    small, large = published_rates("hydronet_500k", 30.0), published_rates("hydronet_4.5m", 60.0)
    for one, other in zip(small, large):
        assert one.molecules_per_second == pytest.approx(2 * other.molecules_per_second)
        assert one.source.startswith("published")
    # An IPU's published rate is of QM9 and HydroNet alone.
    assert [rate.device for rate in published_rates("mine", 20.0)] == ["an A100"]


# --- as typed ---


def test_hydronet_on_512_ranks(plan):
    said = plan(
        *("dataset=hydronet_4.5m", "accelerator.devices=8", "accelerator.num_nodes=64"),
        *("shapes=213", "batch_size=4096", "max_epochs=10"),
    )
    assert said.startswith("ON PAPER: 64 hosts of 8 devices, 512 ranks.")
    assert said.count("ON PAPER") == 3
    assert "1,481,698 of 213 atoms by optimal, 99.99999 % filled; proven lower bound 1,481" in said
    assert "update 1,536 packs" in said
    assert "epoch 965 updates; 10 epochs: 9,650" in said
    assert "3 packs an update, 2,895 an epoch, the same for every rank" in said
    assert "waste 542 empty packs" in said
    assert "78,362 HydroNet 500k clusters/s" in said
    assert "no training rate" in said


def test_a_hundred_million_molecules_on_a_thousand_ranks(plan, folder):
    said = report_of(
        plan,
        folder,
        *("dataset=hydronet_4.5m", "num_molecules=100000000", "shapes=213", "rate=1e6"),
        *("accelerator.devices=8", "accelerator.num_nodes=125", "batch_size=65536"),
    )
    found = said["on_paper"]
    assert said["for_real"] is None
    assert found["num_molecules"] == 100_000_000
    assert found["packs_per_rank"] * 1000 == found["num_packs"] + found["empty_packs"]
    assert found["num_packs"] - found["lower_bound"] in (0, 1)
    assert said["on_paper_at_rates"][0]["host_molecules_per_second"] == 8e6


@pytest.mark.parametrize("packer", ["optimal", "lpfhp", "next_fit"])
def test_the_plan_made_for_real_is_what_paper_says(plan, folder, sizes, packer):
    arguments = [sizes, f"packer={packer}", "shapes=24", "batch_size=50", "num_molecules=1000"]
    arguments += ["accelerator.devices=2", "accelerator.num_nodes=3", "rate=10"]
    real = report_of(plan, folder, *arguments, "assemble=true")
    assert len(real["for_real"]["rank_molecules"]) == 6
    assert sum(real["for_real"]["rank_molecules"]) == 1000
    assert real["on_paper"]["num_packs"] == real["for_real"]["num_packs"]
    paper = report_of(plan, folder, *arguments)
    if packer == "next_fit":
        assert paper["on_paper"]["num_packs"] <= real["on_paper"]["num_packs"]
    else:
        assert paper["on_paper"] == real["on_paper"]


def test_what_is_real_is_told_from_what_is_on_paper(plan, sizes):
    arguments = [sizes, "accelerator.devices=3", "rate=10", "num_parameters=7"]
    said = plan(*arguments)
    assert "FOR REAL" not in said
    assert "more than batch_size=1:" in plan(*arguments, "batch_size=1")
    made = plan(*arguments, "assemble=true", "packer=streaming")
    assert "FOR REAL, on this machine: a plan of 600 molecules" in made
    assert made.index("ON PAPER") < made.index("FOR REAL")
    assert "streaming packs molecule by molecule" in plan(*arguments, "packer=streaming")


# --- rates from files ---


def test_a_run_and_the_benchmarks_are_rates(folder):
    run = folder / "run"
    run.mkdir()
    (run / "summary.json").write_text(json.dumps({"train_molecules_per_second": 1234.5}))
    (run / "run.json").write_text(json.dumps({"data": {"dataset": "qm9"}}))
    (run / "config.yaml").write_text("accelerator: {devices: 1, num_nodes: 1}\n")
    for path in (run, run / "summary.json"):
        (rate,) = device_rates(str(path), "qm9", 18.0)
        assert rate.molecules_per_second == 1234.5
        assert "measured on qm9" in rate.source
        assert "other molecules" not in rate.source
    (rate,) = device_rates(str(run), "hydronet_500k", 60.0)
    assert "other molecules" in rate.source

    def section(name, *rates):
        rows = [{"name": "packed", "molecules_per_second": {"median": rate}} for rate in rates]
        rows.append({"name": "pyg", "molecules_per_second": {"median": 1e9}})
        return {"name": name, "title": name, "rows": rows}

    sections = [section("train_step_64", 900.0), section("train_run_64", 5.0, 7.0)]
    report = {"bench": "overview", "data": {"dataset": "qm9"}, "sections": sections}
    (folder / "bench.json").write_text(json.dumps(report))
    assert device_rates("bench.json", "qm9", 18.0)[0].molecules_per_second == 7.0

    lines = [{"name": "run", "result": {"dataset": "qm9"}}]
    lines += [
        {"name": name, "result": {"train_molecules_per_second": rate}}
        for name, rate in (("epochs batch 128 K 16 tf32", 40.0), ("clusters part tf32", 9.0))
    ]
    text = "\n".join([*map(json.dumps, lines), '{"name": "epochs cut o'])
    (folder / "gpu.jsonl").write_text(text)
    assert device_rates("gpu.jsonl", "qm9", 18.0)[0].molecules_per_second == 40.0
    (rate,) = device_rates("gpu.jsonl", "hydronet_500k", 60.0)
    assert rate.molecules_per_second == 9.0
    assert "made clusters" in rate.source


@pytest.mark.parametrize(
    "text, said",
    [
        ('{"train_molecules_per_second": 5, "emulated": true}', "on an emulator"),
        ('{"train_molecules_per_second": null}', "too short to measure"),
        ('{"loss": 5}', "holds no rate; give a run's summary.json"),
        ("[1, 2]", "holds no rate"),
        ("nonsense", "cannot be read"),
        ('{"bench": "packers", "sections": []}', "gnnpack bench packers without training"),
    ],
)
def test_files_without_a_rate_are_refused(folder, text, said):
    (folder / "rate.json").write_text(text)
    with pytest.raises(ValueError, match=f"rate=rate.json.*{said}"):
        device_rates("rate.json", "qm9", 18.0)


@pytest.mark.parametrize("devices", ["devices: 4", "devices: [0, 1], num_nodes: 2"])
def test_the_rate_of_several_devices_is_refused(folder, devices):
    (folder / "summary.json").write_text('{"train_molecules_per_second": 5}')
    (folder / "config.yaml").write_text(f"accelerator: {{{devices}}}\n")
    with pytest.raises(ValueError, match="a run on 4 devices"):
        device_rates("summary.json", "qm9", 18.0)


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["accelerator.devices=0"], "accelerator.devices=0; write a whole number"),
        (["accelerator.devices=two"], "accelerator.devices=two; write"),
        (["accelerator.num_nodes=-1"], "accelerator.num_nodes=-1; write"),
        (["accelerator.devices=600"], "600 ranks share .* packs: some would get no molecule"),
        (["accelerator.devices=2", "shapes=8"], "shapes=8: .* largest molecule, which has 9"),
        (["accelerator.devices=2", "shapes=9,18"], "shapes=9,18; an epoch has packs of one size"),
        (["accelerator.devices=2", "num_molecules=0"], "num_molecules=0; write"),
        (["accelerator.devices=2", "dataset=qm9"], "dataset=qm9 and sizes=mine.npy both"),
        (["accelerator.devices=2", "batch_size=0"], "batch_size=0; write"),
        (["accelerator.devices=2", "max_epochs=0"], "max_epochs=0; write"),
        (["accelerator.devices=2", "num_parameters=0"], "num_parameters=0; write"),
        (["accelerator.devices=2", "assemble=yes"], "assemble=yes; write assemble=true"),
        (["accelerator.devices=2", "packer=best"], "packer=best; choose one of"),
        (["accelerator.devices=2", "rate=0"], "rate=0; give the molecules/s"),
        (["accelerator.devices=2", "rate=nan"], "rate=nan; give the molecules/s"),
        (["accelerator.devices=2", "rate=no.json"], "rate=no.json is neither a number nor a file"),
        (["accelerator.replicas=2"], "'accelerator.replicas=2' is not an argument"),
        (["accelerator.devices=2", "rate=5", "out=mine.npy"], "cannot write"),
    ],
)
def test_bad_arguments_say_what_is_wrong(plan, sizes, arguments, said):
    with pytest.raises(SystemExit, match=f"(?s)^gnnpack plan: .*{said}"):
        plan(sizes, *arguments)


def test_the_page_shows_what_is_printed(plan):
    page = (ROOT / "docs" / "plan_at_scale.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```\n\$ gnnpack plan (.*?)\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    for arguments, shown in blocks:
        # Seconds and memory are of one run; making this plan again would take another minute.
        said = plan(*arguments.replace("assemble=true", "").split())
        paper = " ".join(shown.partition("FOR REAL")[0].split())
        assert without_bytes(paper) == without_bytes(said)


def without_bytes(text):
    """Which molecules share a pack, and so the most of them, may differ between machines."""
    return re.sub(r"[\d.]+ [kMG]?B", "", text)


def test_an_update_of_a_batch_is_that_of_assemble():
    """The slots that bytes are counted from are a batch's own, also in a full pack."""
    source = make_source(50)
    made = optimal(source.num_atoms, SHAPE)
    batch = assemble(source, made, 0, 3, np.full(3, 50))
    assert batch.target.shape[1] == made.molecule_capacity + 1
