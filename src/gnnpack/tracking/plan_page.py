"""One HTML file with text, figures and a table; it needs no other file and no network."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import Mapping, Sequence

from gnnpack.tracking.json_file import AnyPath, replace_file

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2937; background: #ffffff;
       max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 0.15rem 0.7rem; border-bottom: 1px solid #e5e7eb; }
th { position: sticky; top: 0; background: #ffffff; }
td:last-child { text-align: left; }
tr.marked td { background: #dbeafe; font-weight: bold; }
"""


def write_page(
    path: AnyPath,
    *,
    title: str,
    sentences: Sequence[str],
    figures: Mapping[str, AnyPath],
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    marked: int | None = None,
) -> None:
    """Write a page: title, sentences, PNG files under their captions, a table.

    figures: caption -> PNG file, which is written into the page. rows: one cell a heading.
    marked: number of the row to point out. OSError names the file and the cure.
    """
    parts = [f"<h1>{escape(title)}</h1>"]
    parts += [f"<p>{escape(sentence)}</p>" for sentence in sentences]
    for caption, png in figures.items():
        image = base64.b64encode(Path(png).read_bytes()).decode("ascii")
        name = escape(caption, quote=True)
        parts.append(f'<h2>{name}</h2>\n<img alt="{name}" src="data:image/png;base64,{image}">')
    parts.append(_table(headings, rows, marked))
    body = "\n".join(parts)
    with replace_file(path) as file:
        file.write(
            f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
            f"<body>\n{body}\n</body>\n</html>\n"
        )


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], marked: int | None) -> str:
    lines = ["<h2>All pack sizes</h2>", "<table>", _row("th", headings, "")]
    for number, cells in enumerate(rows):
        lines.append(_row("td", cells, ' class="marked"' if number == marked else ""))
    return "\n".join([*lines, "</table>"])


def _row(tag: str, cells: Sequence[str], attribute: str) -> str:
    inner = "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells)
    return f"<tr{attribute}>{inner}</tr>"
