"""`gnnpack bench packing` from end to end, and its figures against published and slow ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gnnpack.bench.packing_bench import SUBSETS, packing
from gnnpack.bench.packing_facts import WAYS, curve_facts, point_facts, size_facts, slot_facts
from gnnpack.bench.packing_published import LPFHP_POINTS, used_size
from gnnpack.bench.packing_settings import PackingSettings
from gnnpack.bench.packing_sparsity import Positions, neighbour_counts, neighbour_facts
from gnnpack.commands.bench_packing import main
from gnnpack.datasets import QM9, Synthetic
from gnnpack.datasets.size_counts import DISTRIBUTIONS, size_counts
from gnnpack.datasets.water_sizes import SUBSETS as WATERS
from gnnpack.packing import PackShape, lpfhp, one_per_pack
from gnnpack.store import open_store

# Percent of slots that LPFHP fills, as published: by distribution and atoms of a pack.
PUBLISHED_PERCENT = {
    ("qm9", 36): 98.646,
    ("qm9", 252): 99.616,
    ("hydronet_500k", 192): 98.092,
    ("hydronet_500k", 195): 98.842,
    ("hydronet_2.7m", 192): 98.074,
    ("hydronet_2.7m", 195): 98.835,
    ("hydronet_4.5m", 153): 98.705,
    ("hydronet_4.5m", 154): 98.065,
}


@pytest.fixture
def store(tmp_path):
    """Made molecules."""
    return open_store(Synthetic(60, seed=0), str(tmp_path / "made"))


@pytest.fixture
def made_qm9(store, monkeypatch):
    """Made molecules in the place of QM9."""
    monkeypatch.setattr("gnnpack.bench.packing_bench.open_qm9", lambda data_dir: store)
    return store


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["gnnpack bench packing", *arguments])
    main()


def points():
    return [(name, point) for name in DISTRIBUTIONS for point in LPFHP_POINTS[name]]


# --- published figures ---


@pytest.mark.parametrize("name, point", points())
def test_lpfhp_needs_the_published_packs(name, point):
    found = point_facts(name, point)
    assert found["lpfhp_packs"] == found["published_packs"] == point.packs
    expected = PUBLISHED_PERCENT[name, point.num_atoms]
    assert found["lpfhp_percent"] == pytest.approx(expected, abs=5.1e-4)
    assert found["bound"] <= found["optimal_packs"] <= found["lpfhp_packs"]


def test_every_distribution_has_the_papers_size_and_best():
    assert set(LPFHP_POINTS) == set(DISTRIBUTIONS)
    assert {(name, point.num_atoms) for name, point in points()} == set(PUBLISHED_PERCENT)
    assert [used_size(name) for name in DISTRIBUTIONS] == [36, 192, 192, 154]


@pytest.mark.parametrize("name, best", [("qm9", 252), ("hydronet_4.5m", 153)])
def test_the_best_of_the_published_curve_is_the_best_of_ours(name, best):
    found = curve_facts(name, best)
    assert found["lpfhp_best_size"] == best


# --- figures that must hold for any data ---


def test_curves_lie_between_the_bound_and_plans_of_every_molecule():
    found = curve_facts("qm9", 40)
    assert found["num_atoms"] == list(range(29, 41))
    num_atoms = np.repeat(*size_counts("qm9"))
    for place in (0, 7, 11):
        plan = lpfhp(num_atoms, PackShape(found["num_atoms"][place]))
        assert found["lpfhp_packs"][place] == plan.num_packs
    packs = np.array([found["bounds"], found["optimal_packs"], found["lpfhp_packs"]])
    assert (np.diff(packs, axis=0) >= 0).all()
    assert found["at_bound"] == (packs[0] == packs[1]).sum()
    slots = packs[1:] * np.array(found["num_atoms"])
    atoms = num_atoms.sum()
    assert found["optimal_best_percent"] == pytest.approx(100 * atoms / slots[0].min())
    gain = 100 * atoms / slots[0] - 100 * atoms / slots[1]
    assert found["largest_gain_percent"] == pytest.approx(gain.max())


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_slots_are_real_atoms_and_filler(name):
    sizes = size_facts(name)
    assert sum(sizes["counts"]) == sizes["molecules"]
    found = {way: slot_facts(name, count) for way, count in WAYS.items()}
    for row in found.values():
        assert row["slots"] == row["num_atoms"] * row["packs"]
        assert row["slots"] - row["filler_slots"] == sizes["atoms"]
        assert row["slots_per_atom"] * (1 - row["filler_percent"] / 100) == pytest.approx(1)
    used = {point.num_atoms: point.packs for point in LPFHP_POINTS[name]}
    assert found["lpfhp"]["packs"] == used[used_size(name)]
    filler = [found[way]["filler_percent"] for way in ("padding", "lpfhp", "optimal")]
    assert filler == sorted(filler, reverse=True)


def test_padding_is_one_molecule_a_pack():
    plan = one_per_pack(np.repeat(*size_counts("qm9")), PackShape(29))
    found = slot_facts("qm9", WAYS["padding"])
    assert found["packs"] == plan.num_packs
    assert found["filler_percent"] == pytest.approx(100 * (1 - plan.atom_efficiency))


# --- neighbours ---


def by_hand(store, cutoff):
    """Neighbours of each atom, one pair after another."""
    counts = []
    for molecule in range(store.num_molecules):
        pos = store.pos[store.offsets[molecule] : store.offsets[molecule + 1]].astype(float)
        for i, one in enumerate(pos):
            near = [((one - other) ** 2).sum() <= cutoff**2 for other in pos]
            counts.append(sum(near[:i] + near[i + 1 :]))
    return counts


@pytest.mark.parametrize("cutoff", [1.2, 2.5, 6.0])
@pytest.mark.parametrize("at_once", [1, 4_000_000])
def test_neighbours_are_those_counted_by_hand(store, monkeypatch, cutoff, at_once):
    monkeypatch.setattr("gnnpack.bench.packing_sparsity._PAIRS_AT_ONCE", at_once)
    assert neighbour_counts(store.pos, store.offsets, cutoff).tolist() == by_hand(store, cutoff)


def test_neighbours_are_the_pairs_of_the_store_twice(store):
    molecules = Positions(store.pos, store.offsets, "made")
    found = neighbour_facts(molecules, 3.0)
    pairs, atoms = int(store.num_pairs(3.0).sum()), store.total_atoms
    assert found["mean_neighbours"] * atoms == pytest.approx(2 * pairs)
    assert sum(found["histogram"]) == found["atoms"] == atoms
    assert len(found["histogram"]) == found["most_neighbours"] + 1
    sizes = store.num_atoms
    assert found["dense_percent"] == pytest.approx(200 * pairs / (sizes * (sizes - 1)).sum())
    assert found["slot_percent"] < found["dense_percent"]
    # Nothing is farther than this.
    assert neighbour_facts(molecules, 1e3)["dense_percent"] == 100


# --- as typed ---


def test_it_writes_its_files_and_a_dated_copy(tmp_path, monkeypatch, capsys, made_qm9):
    results, out = tmp_path / "docs" / "results", tmp_path / "out"
    names = "distributions=qm9,hydronet_500k"
    settings = ("sweep_to=80", "num_clusters=3")
    run(monkeypatch, names, *settings, f"out={out}", f"results={results}")
    (folder,) = out.iterdir()
    assert folder.name.endswith("_packing")
    assert sorted(file.name for file in folder.iterdir()) == ["bench.json", "bench.md", "bench.png"]
    text = (folder / "bench.json").read_text(encoding="utf-8")
    report = json.loads(text)
    copy = f"{report['started'][:10]}_packing"
    copies = [f"{copy}.{kind}" for kind in ("json", "md", "png")]
    assert sorted(file.name for file in results.iterdir()) == copies
    assert (results / f"{copy}.json").read_text(encoding="utf-8") == text
    assert f"({copy}.png)" in (results / f"{copy}.md").read_text(encoding="utf-8")
    assert (folder / "bench.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert report["settings"]["distributions"] == "qm9,hydronet_500k"
    sections = {section["name"]: section for section in report["sections"]}
    assert [*sections] == ["molecules", "published", "curves", "slots", "neighbours"]
    assert [row["name"] for row in sections["curves"]["rows"]] == ["qm9", "hydronet_500k"]
    printed = capsys.readouterr().out
    assert "Padding against packing" in printed
    assert str(results / f"{copy}.md") in printed


def test_without_qm9_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(QM9, "_package_folder", lambda self: None)
    settings = PackingSettings(("qm9",), sweep_to=29, data_dir=str(tmp_path))
    report = packing(settings, ["gnnpack"])
    assert "neighbours" not in [section["name"] for section in report["sections"]]
    assert any("QM9 is not on this machine" in note for note in report["notes"])


def test_made_clusters_are_called_so_and_have_the_sizes_they_stand_for(tmp_path):
    settings = PackingSettings(("hydronet_4.5m",), 90, num_clusters=40, data_dir=str(tmp_path))
    section = packing(settings, ["gnnpack"])["sections"][-1]
    assert section["name"] == "neighbours"
    assert "are no figures of HydroNet" in " ".join(section["note"].split())
    for name, subset in SUBSETS.items():
        table = {3 * waters: count for waters, count in WATERS[subset].items() if count}
        assert table == dict(zip(*(column.tolist() for column in size_counts(name))))
    (row,) = section["rows"]
    assert row["label"] == "made clusters, 4.5M"
    assert row["facts"]["source"].startswith("made")
    assert row["facts"]["molecules"] == 40
    # Whole waters: an atom of one has at least its two others near.
    assert row["facts"]["atoms"] % 3 == 0
    assert row["facts"]["histogram"][:2] == [0, 0]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["distributions=qm8"], "qm8"),
        (["distributions=qm9,qm9"], "name each of .* at most once"),
        (["sweep_to=28"], "sweep_to=28: qm9 has molecules of 29 atoms"),
        (["sweep_to=many"], "sweep_to=many is not a number; write sweep_to=260"),
        (["cutoff=0"], "cutoff=0 Å; it must be above 0"),
        (["cutoff=nan"], "cutoff=nan Å"),
        (["cutoff=far"], "cutoff=far is not a number; write cutoff=6.0"),
        (["num_clusters=0"], "num_clusters=0; it must be at least 1"),
        (["size=3"], "'size=3' is not an argument"),
        (["out=text.txt"], "cannot write"),
        (["results=text.txt"], "cannot write"),
    ],
)
def test_bad_arguments_say_what_is_wrong(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("not a folder", encoding="utf-8")
    with pytest.raises(SystemExit, match=f"(?s)^gnnpack bench packing: .*{said}"):
        run(monkeypatch, *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]
