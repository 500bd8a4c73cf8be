"""What a part of a report is made of: sentences, one table, one figure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional, Sequence

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts


@dataclass(frozen=True)
class Table:
    """Cells are plain text, which the page escapes; numbers are aligned and sorted as such.

    Args:
        folders: for each row the folders of the runs its numbers come from, to which the page
            links. Empty: no row has any.
        caption: what the numbers are, above the table.
        home: its rows are what the links of other tables lead to: one run a row, with its folder.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    folders: Sequence[Sequence[Path]] = ()
    caption: str = ""
    home: bool = False


@dataclass(frozen=True)
class Section:
    """One part of a report.

    Args:
        figure: a plotly figure as a plain dict, {"data": [...], "layout": {...}}. Its texts are
            plain, "\\n" breaks a line; `report_drawing` tells what is drawn of it on paper, and
            the page gives it fonts, background and grid.
        name: file stem of the figure's PNG and SVG.
        images: (caption, PNG file), shown as they are.
    """

    title: str
    sentences: Sequence[str] = ()
    table: Table | None = None
    figure: Mapping[str, Any] | None = None
    name: str = ""
    images: Sequence[tuple[str, Path]] = ()


# None: nothing to say about these runs.
Maker = Callable[[Sequence["RunFacts"]], Optional[Section]]
