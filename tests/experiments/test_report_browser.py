"""The page in a real browser, headless: figures are drawn, buttons work, nothing is fetched."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from tests.experiments.made_runs import make_run, make_runs

from gnnpack.experiments.find_runs import find_runs
from gnnpack.experiments.report import write_report

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
EVIL = "<img src=x onerror=document.title='pwned'>"

pytestmark = pytest.mark.skipif(
    not BROWSER, reason="no chromium on this machine (apt-get install chromium)"
)

# Reads what the page says after its own script has run, and uses its buttons.
PROBE = """
<script>
const told = {};
const titled = (title) => [...document.querySelectorAll("section")]
  .find((section) => section.querySelector("h2").textContent === title);
const part = titled("Accuracy");
const table = part.querySelector("table");
const cells = (column) => [...table.tBodies[0].rows].map((row) => row.cells[column].textContent);
const heads = [...table.tHead.rows[0].cells];
const numeric = heads.findIndex((cell) => cell.textContent.startsWith("test MAE"));
heads[numeric].querySelector("button").click();
told.up = cells(numeric);
heads[numeric].querySelector("button").click();
told.down = cells(numeric);
const long = titled("What ran");
const visible = () => [...long.querySelectorAll("tbody tr")].filter((row) => !row.hidden).length;
told.folded = visible();
const input = long.querySelector("input");
input.value = "reason that is searched";
input.dispatchEvent(new Event("input"));
told.found = visible();
input.value = "";
input.dispatchEvent(new Event("input"));
[...long.querySelectorAll("button")].find((one) => one.textContent.startsWith("Show all")).click();
told.unfolded = visible();
const copies = (one) => one.textContent.startsWith("Copy");
const copy = [...part.querySelectorAll("button")].find(copies);
Object.defineProperty(navigator, "clipboard", { value: undefined });
copy.click();
const before = document.documentElement.dataset.theme;
document.getElementById("theme").click();
told.themes = [before, document.documentElement.dataset.theme];
setTimeout(() => {
  told.markdown = part.querySelector("textarea")?.value;
  told.figures = document.querySelectorAll(".live").length;
  told.drawn = document.querySelectorAll(".live.drawn svg.main-svg").length;
  told.points = document.querySelectorAll(".live .point").length;
  const buttons = [...document.querySelectorAll(".modebar-btn")];
  told.buttons = [...new Set(buttons.map((one) => one.dataset.title))];
  told.pwned = document.title === "pwned" || !!document.querySelector("img[src=x]");
  told.requests = performance.getEntriesByType("resource").map((one) => one.name);
  const said = document.createElement("script");
  said.type = "application/json";
  said.id = "told";
  said.textContent = JSON.stringify(told).replace(/</g, "\\\\u003c");
  document.body.append(said);
}, 3000);
</script></body>"""


def browse(
    profile: Path, page: Path, *flags: str, query: str = ""
) -> subprocess.CompletedProcess[str]:
    """Open the page and close the browser again; it writes into ``profile`` alone."""
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--enable-logging=stderr",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=8000",
        *flags,
        f"{page.as_uri()}{query}",
    ]
    environment = {**os.environ, "HOME": str(profile)}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=True, env=environment
    )


def console(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What the page wrote to the console: errors, refusals of its policy."""
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    states = {20: "failed", 5: "missing", 9: "unfinished"}
    make_runs(folder, 24, states=states)
    make_run(folder / EVIL, sweep=EVIL, packer="next_fit", hidden_channels=96)
    make_run(folder / "evil", sweep=EVIL, state="failed", reason=f"{EVIL} reason that is searched")
    return folder


def report_of(folder: Path, out: Path) -> Path:
    title = f"Packers on QM9 {EVIL}"
    return write_report(find_runs([folder]), out, title=title, now=datetime(2026, 3, 1, 12))


@pytest.fixture(scope="module")
def page(folder, tmp_path_factory) -> Path:
    pytest.importorskip("plotly")
    return report_of(folder, tmp_path_factory.mktemp("report"))


def probed(page: Path, tmp_path: Path) -> tuple[dict, subprocess.CompletedProcess[str]]:
    text = page.read_text(encoding="utf-8")
    assert text.count("</body>") == 1
    copy = tmp_path / "probed.html"
    copy.write_text(text.replace("</body>", PROBE), encoding="utf-8")
    done = browse(tmp_path / "profile", copy, "--dump-dom", query="?theme=light")
    found = re.search(
        r'<script type="application/json" id="told">(.*?)</script>', done.stdout, re.S
    )
    assert found, f"the page's script did not end: {console(done)}"
    return json.loads(found.group(1)), done


def numbers(cells: list[str]) -> list[float]:
    return [float(cell.replace(",", "")) for cell in cells]


def test_the_page_works(page, tmp_path):
    told, done = probed(page, tmp_path)
    assert console(done) == []
    # Figures.
    assert told["figures"] >= 5
    assert told["drawn"] >= told["figures"]
    assert told["points"] > 50
    assert told["buttons"] == ["Zoom", "Pan", "Reset axes", "Download plot as a PNG"]
    # Tables.
    assert len(told["up"]) > 5
    assert numbers(told["up"]) == sorted(numbers(told["up"]))
    assert told["down"] == told["up"][::-1]
    assert (told["folded"], told["found"], told["unfolded"]) == (15, 1, 26)
    heading, line, *rows = told["markdown"].splitlines()
    assert heading.startswith("| group | runs |")
    assert line.startswith("| --- | --: |")
    assert len(rows) == len(told["up"])
    assert len({row.count("|") - row.count("\\|") for row in [heading, line, *rows]}) == 1
    # Theme, text of users, network.
    assert told["themes"] == ["light", "dark"]
    assert not told["pwned"]
    assert [one for one in told["requests"] if not one.startswith(("data:", "blob:"))] == []


@pytest.mark.slow
def test_both_themes_and_paper(page, tmp_path):
    from matplotlib.image import imread

    light = {}
    for theme in ("light", "dark"):
        shot = tmp_path / f"{theme}.png"
        flags = [f"--screenshot={shot}", "--window-size=1000,1400", "--hide-scrollbars"]
        done = browse(tmp_path / "profile", page, *flags, query=f"?theme={theme}")
        assert console(done) == []
        pixels = imread(shot)[..., :3]
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100
        light[theme] = float(np.median(pixels))
    assert light["light"] > 0.9
    assert light["dark"] < 0.2
    pdf = tmp_path / "page.pdf"
    browse(tmp_path / "profile", page, f"--print-to-pdf={pdf}", query="?theme=dark")
    content = pdf.read_bytes()
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") >= 4


def test_without_plotly_pictures_are_shown(folder, tmp_path):
    page = write_report(find_runs([folder]), tmp_path / "out", title="Pictures", plotly="")
    told, done = probed(page, tmp_path)
    assert console(done) == []
    assert (told["figures"], told["pwned"]) == (0, False)
    assert told["down"] == told["up"][::-1]
