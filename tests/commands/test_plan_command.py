"""`gnnpack plan` as typed."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from gnnpack.packing import PackPlan, optimal
from gnnpack.packing.advice_words import rule

ROOT = Path(__file__).resolve().parents[2]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def plan(gnnpack, capsys):
    """Run `gnnpack plan ARGUMENTS`; what it printed, on one line."""

    def call(*arguments: str) -> str:
        gnnpack("plan", *arguments)
        return " ".join(capsys.readouterr().out.split())

    return call


@pytest.fixture
def sizes(folder):
    """A file of the sizes of 60 molecules."""
    np.save(folder / "mine.npy", np.array([3, 4, 5, 7, 9, 9] * 10))
    return "sizes=mine.npy"


def test_qm9_without_its_data(plan, folder):
    said = plan()
    assert "qm9: 130,831 molecules of 3 to 29 atoms, 18.03 on average" in said
    assert "200 pack sizes of 29 to 228 atoms compared for optimal" in said
    assert re.search(r"54 43,691 43,691 99.996 % \d+ 21 [\d.]+ kB recommended", said)
    assert "36 atoms: 98.646 % is the best possible; 54 gives 99.996 %." in said
    assert list(folder.iterdir()) == []


def test_hydronet_4_5m_warns_of_154(plan):
    said = plan("dataset=hydronet_4.5m")
    assert "Recommended for optimal: 213 atoms" in said
    assert "published, wastes 1" in said
    assert "It wastes 1 slot in every pack (0.649 %): 153 holds as many molecules." in said


def test_shapes_and_all_choose_the_rows(plan):
    assert "2 shown" in plan("shapes=40")
    assert "40 atoms: 94.269 % is the best possible" in plan("shapes=40,48")
    assert "200 shown" in plan("all=true")


def test_made_molecules_are_counted_from_their_store(plan, folder):
    said = plan("dataset=synthetic", "num_molecules=50", "batch_size=8")
    assert "synthetic: 50 molecules" in said
    assert (folder / "data" / "store").is_dir()


def test_a_csv_is_added_up(plan, folder):
    text = "num_atoms,count\n3,20\n\n5,4\n3,10\n7,0\n"
    (folder / "mine.csv").write_text(text, encoding="utf-8")
    assert "mine: 34 molecules of 3 to 5 atoms, 3.24 on average; mine.csv" in plan("sizes=mine.csv")


def test_figures_stand_in_one_page_that_needs_nothing_else(plan, folder, sizes, monkeypatch):
    (folder / "mine.npy").rename(folder / "<b>&mine.npy")
    plan("sizes=<b>&mine.npy", "figures=true", "out=reports")
    (report,) = (folder / "reports").iterdir()
    names = ["efficiency.png", "fill.png", "plan.html", "plan.json", "sizes.png"]
    assert sorted(file.name for file in report.iterdir()) == names
    assert all(file.read_bytes()[:8] == PNG for file in report.glob("*.png"))
    page = (report / "plan.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3
    assert "&lt;b&gt;&amp;mine" in page
    assert "<b>" not in page
    assert not re.search(r"(src|href)=\"(?!data:)|url\(|@import|<script|<link", page)
    assert page.count('class="marked"') == 1


def test_json_holds_every_row(plan, folder, sizes):
    plan(sizes, "out=reports", "packer=lpfhp")
    (file,) = (folder / "reports").glob("*_mine/plan.json")
    report = json.loads(file.read_text(encoding="utf-8"))
    assert report["argv"] == ["gnnpack plan", sizes, "out=reports", "packer=lpfhp"]
    assert (report["packer"], report["num_molecules"], report["total_atoms"]) == ("lpfhp", 60, 370)
    assert report["recommended"] in report["rows"]
    for row in report["rows"]:
        assert row["atom_efficiency"] == pytest.approx(370 / (row["packs"] * row["num_atoms"]))
        assert row["proven_optimal"] == (row["packs"] == row["lower_bound"])
    assert report["sentences"][0].startswith("Recommended for lpfhp")


def test_a_plan_is_saved_at_the_recommended_or_the_given_size(plan, folder, sizes):
    plan(sizes, "save=plans/best.npz")
    best = PackPlan.load(folder / "plans" / "best.npz")
    assert (best.packer, best.num_molecules) == ("optimal", 60)
    said = plan(sizes, "save=plans/given.npz", "shapes=12")
    given = PackPlan.load(folder / "plans" / "given.npz")
    expected = optimal(np.load(folder / "mine.npy"), given.shape)
    assert given.atom_capacity == 12
    assert given.molecules.tolist() == expected.molecules.tolist()
    told = f"{given.num_packs} packs".split()[0]
    assert f"packs {told}; proven lower bound {given.lower_bound} ({given.bound_kind})" in said
    loaded = plan("load=plans/given.npz")
    assert said.endswith(loaded)


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["dataset=qm8"], "dataset=qm8; choose one of qm9.*sizes="),
        (["dataset=qm9", "sizes=mine.npy"], "dataset=qm9 and sizes=mine.npy both"),
        (["num_molecules=5"], "num_molecules=5 is for made molecules"),
        (["packer=best"], "packer=best; choose one of .*optimal"),
        (["batch_size=0"], "batch_size is 0"),
        (["batch_size=many"], "batch_size=many is not a whole number"),
        (["shapes=36,x"], "shapes=x is not a whole number"),
        (["shapes=20"], "shapes=20: .* largest molecule, which has 29; give sizes of at least 29"),
        (["figures=yes"], "figures=yes; write figures=true"),
        (["size=3"], "'size=3' is not an argument"),
        (["sizes=no.npy"], "sizes=no.npy: there is no such file"),
        (["sizes=."], "folder without a manifest"),
        (["sizes=text.txt"], r"sizes=text.txt; give a \.npy"),
        (["sizes=text.csv"], r"text.csv, line 2: 'x,1'"),
        (["sizes=empty.csv"], "empty.csv counts no molecules"),
        (["sizes=text.npy"], "sizes=text.npy: .*1-D integer array"),
        (["sizes=zero.npy"], r"sizes=zero.npy: num_atoms\[1\] = 0"),
        (["sizes=mine.csv", "save=x.npz"], "mine.csv holds counts"),
        (["dataset=hydronet_500k", "save=x.npz"], "of hydronet_500k only counts"),
        (["sizes=mine.npy", "save=text.txt/x.npz"], "cannot write"),
        (["sizes=mine.npy", "out=text.txt"], "cannot write"),
        (["load=no.npz"], "load=no.npz: there is no such file"),
        (["load=mine.npy"], "damaged or no plan"),
        (["load=mine.npy", "shapes=36"], "shapes=36 does nothing beside load"),
    ],
)
def test_bad_arguments_say_what_is_wrong(plan, folder, sizes, arguments, said):
    (folder / "mine.csv").write_text("3,4\n", encoding="utf-8")
    (folder / "empty.csv").write_text("num_atoms,count\n", encoding="utf-8")
    np.save(folder / "zero.npy", np.array([3, 0]))
    for kind in ("txt", "csv", "npy"):
        (folder / f"text.{kind}").write_text("3,4\nx,1\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=f"(?s)^gnnpack plan: .*{said}"):
        plan(*arguments)


def test_a_packer_of_molecules_gets_the_table_of_optimal(plan, folder, sizes):
    said = plan(sizes, "packer=next_fit", "save=plan.npz")
    assert "packs of optimal, for next_fit packs molecule by molecule and may need more" in said
    assert PackPlan.load(folder / "plan.npz").packer == "next_fit"
    assert "correlation inside packs" in said


def test_the_page_shows_what_is_printed(plan):
    page = (ROOT / "docs" / "plan_a_shape.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```\n\$ gnnpack plan (.*?)\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    for arguments, shown in blocks:
        said = plan(*arguments.split())
        # Which molecules share a pack, and so the most of them, is not the same on every machine.
        rows = re.findall(r"^ +([\d,]+ +[\d,]+ +[\d,]+ +[\d.]+ %)", shown, re.MULTILINE)
        sentences = shown.partition("Recommended")[2]
        for text in [*rows, sentences]:
            assert " ".join(text.split()) in said


def test_help_needs_no_heavy_import(plan, monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(SystemExit) as ended:
        plan("--help")
    assert ended.value.code == 0


def test_the_rule_is_printed(plan, sizes):
    from gnnpack.packing import advise

    advice = advise([3, 4, 5, 7, 9], [10, 10, 10, 10, 20], batch_size=32)
    assert rule(advice) in plan(sizes, "batch_size=32")
