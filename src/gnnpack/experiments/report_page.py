"""The report as one HTML file that needs no other file and no network."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Sequence

from gnnpack.experiments.report_headline import Tile
from gnnpack.experiments.report_plotly import dressed
from gnnpack.experiments.report_section import Section
from gnnpack.experiments.report_tables import Links, table_html
from gnnpack.experiments.report_text import for_plotly, html, printable, script_json

WARNING = "Warning:"
# Says to the browser what the page promises: nothing is fetched from anywhere.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:"
)


@dataclass(frozen=True)
class Page:
    """What stands in a report.

    Args:
        about: under the title: when, from what.
        svgs: name of a section -> its figure as SVG.
        plotly: plotly.js, or None: then figures are pictures.
        footer: what made the page, and how.
    """

    title: str
    about: str
    tiles: Sequence[Tile]
    states: Mapping[str, int]
    sections: Sequence[Section]
    svgs: Mapping[str, str]
    plotly: str | None
    footer: Sequence[str]
    links: Links

    def html(self) -> str:
        """The whole file."""
        numbered = list(enumerate(self.sections, start=1))
        contents = "".join(
            f'<li><a href="#part-{number}">{html(section.title)}</a></li>'
            for number, section in numbered
        )
        parts = "\n".join(self._section(number, section) for number, section in numbered)
        script = f"<script>{self.plotly}</script>\n" if self._interactive else ""
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<link rel="icon" href="data:,">\n'
            f"<title>{html(self.title)}</title>\n<style>\n{_file('css')}</style>\n</head>\n"
            f'<body>\n<div class="frame">\n<nav aria-label="Contents"><p>Contents</p>'
            f"<ol>{contents}</ol></nav>\n<main>\n{self._header()}\n{parts}\n{self._footer()}\n"
            f"</main>\n</div>\n{script}<script>\n{_file('js')}</script>\n</body>\n</html>\n"
        )

    @property
    def _interactive(self) -> bool:
        return self.plotly is not None and any(s.figure is not None for s in self.sections)

    def _header(self) -> str:
        tiles = "".join(
            f'<div class="tile"><div class="what">{html(tile.what)}</div>'
            f'<div class="number">{html(tile.number)} <span class="unit">{html(tile.unit)}</span>'
            f'</div><div class="words">{html(tile.words)}</div></div>'
            for tile in self.tiles
        )
        shares = "".join(
            f'<span class="is-{html(state)}" style="flex:{number}" '
            f'title="{number:,} {html(state)}"></span>'
            for state, number in self.states.items()
        )
        key = "".join(
            f'<span><i class="is-{html(state)}"></i>{number:,} {html(state)}</span>'
            for state, number in self.states.items()
        )
        bar = f'<div class="states" aria-hidden="true">{shares}</div><p class="key">{key}</p>'
        return (
            f'<header><p class="above">{html(self.about)}</p><h1>{html(self.title)}</h1>'
            f'<button id="theme" type="button" hidden>Dark</button>'
            f'<div class="tiles">{tiles}</div>{bar if self.states else ""}</header>'
        )

    def _section(self, number: int, section: Section) -> str:
        parts = [f'<h2><a href="#part-{number}">{html(section.title)}</a></h2>']
        for sentence in section.sentences:
            warned = ' class="warning"' if sentence.startswith(WARNING) else ""
            parts.append(f"<p{warned}>{html(sentence)}</p>")
        if section.figure is not None and section.name in self.svgs:
            parts.append(self._figure(number, section))
        for caption, file in section.images:
            image = base64.b64encode(file.read_bytes()).decode("ascii")
            parts.append(
                f'<figure class="card"><img alt="{html(caption)}" '
                f'src="data:image/png;base64,{image}"><figcaption>{html(caption)}</figcaption>'
                "</figure>"
            )
        if section.table is not None:
            parts.append(table_html(section.table, self.links))
        return f'<section id="part-{number}">\n' + "\n".join(parts) + "\n</section>"

    def _figure(self, number: int, section: Section) -> str:
        svg = base64.b64encode(self.svgs[section.name].encode("utf-8")).decode("ascii")
        image = f'<img alt="{html(section.title)}" src="data:image/svg+xml;base64,{svg}">'
        live = ""
        if self._interactive:
            figure = script_json(for_plotly(dressed(section.figure or {})))
            live = (
                f'<script type="application/json" id="figure-{number}">{figure}</script>'
                f'<div class="live" data-figure="figure-{number}" role="img" '
                f'aria-label="{html(section.title)}"></div>'
            )
        return f'<figure class="card">{live}{image}</figure>'

    def _footer(self) -> str:
        return "<footer>" + "".join(f"<p>{html(line)}</p>" for line in self.footer) + "</footer>"


def _file(kind: str) -> str:
    return Path(__file__).with_name(f"report_page.{kind}").read_text(encoding="utf-8")


def safe_name(name: str) -> str:
    """A file stem of letters, digits and underscores.

    >>> safe_name("Strong scaling (2 GPUs)")
    'strong_scaling_2_gpus'
    """
    kept = "".join(c if c.isascii() and c.isalnum() else "_" for c in printable(name).lower())
    return "_".join(part for part in kept.split("_") if part) or "figure"
