"""`gnnpack report` from the command line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.experiments.made_runs import make_run, make_runs


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    from gnnpack.experiments import report

    monkeypatch.setattr(report, "write_figure", lambda figure, folder, name: "<svg/>")


def test_a_sweeps_report_lies_in_the_sweep(gnnpack, folder, capsys):
    make_runs(folder / "outputs" / "sweeps" / "made", 3)
    gnnpack("report", "outputs/sweeps/made")
    assert "report: outputs/sweeps/made/report/report.html" in capsys.readouterr().out
    page = (folder / "outputs/sweeps/made/report/report.html").read_text(encoding="utf-8")
    assert "<title>Sweep made</title>" in page
    assert "with: gnnpack report outputs/sweeps/made" in page


def test_several_paths_get_a_folder_of_their_own(gnnpack, folder):
    make_run(folder / "outputs" / "a=1")
    make_run(folder / "outputs" / "b", seed=1)
    gnnpack("report", "outputs/a=1", "outputs/b")
    gnnpack("report", "outputs/a=1", "outputs/b")
    pages = list(folder.glob("outputs/reports/*/report.html"))
    assert len(pages) == 2
    assert "<title>2 runs</title>" in pages[0].read_text(encoding="utf-8")


def test_out_and_title_are_taken(gnnpack, folder):
    run = make_run(folder / "run")
    gnnpack("report", str(run / "summary.json"), "out=there", "title=A <title>")
    page = (folder / "there" / "report.html").read_text(encoding="utf-8")
    assert "<title>A &lt;title&gt;</title>" in page


def test_an_empty_folder_gives_a_page_and_a_word(gnnpack, folder, capsys):
    (folder / "outputs").mkdir()
    gnnpack("report", "outputs")
    assert "No runs were found below outputs" in capsys.readouterr().err
    assert (folder / "outputs" / "report" / "report.html").is_file()


@pytest.mark.parametrize(
    "words, said",
    [
        ((), "Name the folders"),
        (("nowhere",), "There is no nowhere"),
        (("out=x",), "Name the folders"),
        (("--fast", "outputs"), "is not an argument"),
    ],
)
def test_wrong_words_are_told(gnnpack, folder, words, said):
    with pytest.raises(SystemExit, match=said):
        gnnpack("report", *words)
    assert not list(folder.iterdir())


def test_a_place_one_cannot_write_to_is_told(gnnpack, folder):
    make_run(folder / "run")
    (folder / "file").write_text("")
    with pytest.raises(SystemExit, match="cannot write"):
        gnnpack("report", "run", "out=file")


def test_help_does_not_wait_for_torch(gnnpack, capsys):
    code = "import sys; from gnnpack.experiments import report; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    with pytest.raises(SystemExit):
        gnnpack("report", "--help")
    assert "outputs/sweeps/packer_ablation" in capsys.readouterr().out
