"""A report's tables as HTML, each number with links to the runs it comes from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Mapping, Sequence
from urllib.parse import quote

from gnnpack.experiments.report_numbers import NOT_MEASURED
from gnnpack.experiments.report_section import Table
from gnnpack.experiments.report_text import html, printable

# More links than this make a row tall.
MOST_LINKS = 6
STATE = "state"

_NUMBER = re.compile(r"[+-]?[\d,]*\.?\d+(e[+-]?\d+)?(?![\w.-])", re.IGNORECASE)
# Cells that stand in the place of a number.
_INSTEAD = ("", NOT_MEASURED, "one run")


class Links:
    """Where runs lie, and how other rows lead to them.

    Args:
        folders: of all runs, in their order; the first is run 1.
        page: folder of the page, which links are relative to.
    """

    def __init__(self, folders: Sequence[Path], page: Path) -> None:
        self._numbers: Mapping[Path, int] = {f: n for n, f in enumerate(folders, start=1)}
        self._page = page

    def number(self, folder: Path) -> int | None:
        """The run's number in this report."""
        return self._numbers.get(folder)

    def to_row(self, folder: Path) -> str:
        """A link to the run's row; its name alone where the report has no such run."""
        number = self.number(folder)
        if number is None:
            return html(folder.name)
        return f'<a href="#run-{number}" title="{html(folder.name)}">#{number}</a>'

    def to_folder(self, folder: Path) -> str:
        """Address of the run's folder, as seen from the page."""
        try:
            told = os.path.relpath(folder, self._page)
        except ValueError:
            # Windows, another drive.
            return folder.resolve().as_uri()
        return quote(told.replace(os.sep, "/"), errors="surrogateescape") + "/"


def table_html(table: Table, links: Links) -> str:
    """The table with a bar for what the page's script adds: search, sorting, copying."""
    numeric = [_is_numeric([row[i] for row in table.rows]) for i in range(len(table.headings))]
    heads = [
        f"<th{_classes(['num'] if right else [])}>{html(heading)}</th>"
        for heading, right in zip(table.headings, numeric)
    ]
    if table.folders:
        heads.append("<th>from</th>" if not table.home else "")
    body = []
    for number, row in enumerate(table.rows):
        cells = [
            _cell(cell, heading, right)
            for cell, heading, right in zip(row, table.headings, numeric)
        ]
        anchor = ""
        if table.folders and table.home:
            folder = table.folders[number][0]
            anchor = f' id="run-{links.number(folder)}"'
            cells[0] = (
                f'<td>#{links.number(folder)} <a href="{html(links.to_folder(folder))}">'
                f"{html(row[0])}</a></td>"
            )
        elif table.folders:
            cells.append(_from(table.folders[number], links))
        body.append(f"<tr{anchor}>{''.join(cells)}</tr>")
    caption = f"<p>{html(table.caption)}</p>\n" if table.caption else ""
    return (
        f'{caption}<div class="card table"><div class="bar"><span class="count"></span></div>\n'
        f'<div class="wide"><table><thead><tr>{"".join(heads)}</tr></thead>\n<tbody>\n'
        + "\n".join(body)
        + '\n</tbody></table></div><p class="on-paper"></p></div>'
    )


def _cell(cell: str, heading: str, right: bool) -> str:
    if heading == STATE:
        state = re.sub(r"\W.*", "", cell)
        return f'<td><span class="dot is-{html(state)}"></span>{html(cell)}</td>'
    names = ["num"] if right else []
    if cell in _INSTEAD:
        names.append("none")
    return f"<td{_classes(names)}>{html(cell)}</td>"


def _from(folders: Sequence[Path], links: Links) -> str:
    shown = " ".join(links.to_row(folder) for folder in folders[:MOST_LINKS])
    if len(folders) > MOST_LINKS:
        shown += f" +{len(folders) - MOST_LINKS:,}"
    names = " ".join(printable(folder.name) for folder in folders)
    return f'<td class="from" data-markdown="{html(names)}">{shown}</td>'


def _is_numeric(cells: Sequence[str]) -> bool:
    told = [cell for cell in cells if cell not in _INSTEAD]
    if not told:
        return any(cells)
    return sum(bool(_NUMBER.match(cell)) for cell in told) >= 0.8 * len(told)


def _classes(names: Sequence[str]) -> str:
    return f' class="{" ".join(names)}"' if names else ""
