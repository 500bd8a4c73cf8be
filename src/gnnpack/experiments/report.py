"""One page and its figures about any runs: finished, failed, going on, or none."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Sequence

from gnnpack.experiments.report_drawing import write_figure
from gnnpack.experiments.report_headline import headline
from gnnpack.experiments.report_labels import unique
from gnnpack.experiments.report_numbers import several
from gnnpack.experiments.report_overview import state_counts
from gnnpack.experiments.report_page import Page, safe_name
from gnnpack.experiments.report_plotly import plotly_js
from gnnpack.experiments.report_section import Maker, Section
from gnnpack.experiments.report_sections import MAKERS
from gnnpack.experiments.report_tables import Links

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts

log = logging.getLogger(__name__)

WITHOUT_PLOTLY = (
    "The figures of this page are pictures. Install gnnpack[report] (plotly) and make the report "
    "again for figures to zoom into and to read numbers from."
)


def write_report(
    runs: Sequence[RunFacts],
    folder: Path,
    *,
    title: str,
    command: str = "",
    now: datetime | None = None,
    plotly: str | None = None,
) -> Path:
    """Write report.html, figures/*.png and figures/*.svg below ``folder``; returns the page's path.

    Args:
        command: what was typed, for the record.
        now: the time of the page; the clock's by default.
        plotly: plotly.js; the installed one's by default, "" for figures as pictures.

    Raises:
        OSError: the folder cannot be written to; names the file and the cure.
    """
    from gnnpack.tracking.json_file import explain_write_error, replace_file

    sections = make_sections(runs)
    script = plotly_js() if plotly is None else plotly or None
    svgs = {
        section.name: write_figure(section.figure, folder / "figures", section.name)
        for section in sections
        if section.figure is not None
    }
    when = now or datetime.now()
    page = Page(
        title=title,
        about=f"{several(len(runs), 'run')}, report of {when:%Y-%m-%d %H:%M}",
        tiles=headline(runs),
        states=state_counts(runs),
        sections=sections,
        svgs=svgs,
        plotly=script,
        footer=_footer(command, script is not None),
        links=Links([run.folder for run in runs], folder),
    )
    path = folder / "report.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain_write_error(error, folder) from error
    with replace_file(path) as file:
        file.write(page.html())
    return path


def make_sections(runs: Sequence[RunFacts]) -> list[Section]:
    """What the makers have to say, each figure under a file name of its own."""
    if not runs:
        sentence = "No runs were found. A run leaves its folder below outputs/ when it starts."
        return [Section("No runs", [sentence])]
    made = [section for section in (_made(maker, runs) for maker in MAKERS) if section is not None]
    names = unique([safe_name(section.name or section.title) for section in made])
    return [replace(section, name=safe_name(name)) for section, name in zip(made, names)]


def _made(maker: Maker, runs: Sequence[RunFacts]) -> Section | None:
    """The maker's section; one that says so where it failed, for the others are still good."""
    try:
        return maker(runs)
    except Exception as error:
        log.warning("The part %s of the report failed.", maker.__name__, exc_info=True)
        return Section(
            maker.__name__.replace("_", " ").capitalize(),
            [f"Warning: this part could not be made ({type(error).__name__}: {error})."],
        )


def _footer(command: str, interactive: bool) -> list[str]:
    import gnnpack

    lines = [f"Made by gnnpack {gnnpack.__version__}" + (f" with: {command}" if command else ".")]
    return lines if interactive else [*lines, WITHOUT_PLOTLY]
