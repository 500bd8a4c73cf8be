"""Tables of text that give way on a narrow screen, and say what they left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

from rich.cells import cell_len
from rich.console import Group
from rich.table import Table
from rich.text import Text

GAP = 2


@dataclass(frozen=True)
class Column:
    """Heading and cells; ``styles``, one a cell, are rich's.

    ``foldable``: where there is no room it takes more lines, of so many characters or more.
    """

    heading: str
    cells: Sequence[str]
    number: bool = False
    foldable: int = 0  # 0: never
    styles: Sequence[str] = ()

    @property
    def width(self) -> int:
        """Characters it cannot do without."""
        longest = max(map(cell_len, [self.heading, *self.cells]))
        return min(longest, self.foldable) if self.foldable else longest

    @property
    def empty(self) -> bool:
        """Whether no cell says anything."""
        return not any(self.cells)


def fit_columns(columns: Sequence[Column], width: int, give_way: Sequence[str]) -> list[Column]:
    """The columns that fit: first empty ones give way, then those of ``give_way`` in its order."""
    kept = list(columns)
    empty = [column.heading for column in columns if column.empty]
    order = [heading for heading in give_way if heading in empty]
    for heading in [*order, *(heading for heading in give_way if heading not in empty)]:
        if sum(column.width + GAP for column in kept) - GAP <= width:
            break
        kept = [column for column in kept if column.heading != heading]
    return kept


def draw(columns: Sequence[Column], width: int, give_way: Sequence[str]) -> Group:
    """The columns that fit as a table, and a line that names those that do not."""
    kept = fit_columns(columns, width, give_way)
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False)
    for column in kept:
        justify = "right" if column.number else "left"
        overflow = "fold" if column.foldable else "ellipsis"
        table.add_column(
            column.heading,
            justify=justify,  # type: ignore[arg-type]
            overflow=overflow,  # type: ignore[arg-type]
            no_wrap=not column.foldable,
        )
    for i in range(len(kept[0].cells)):
        table.add_row(*(Text(c.cells[i], style=c.styles[i] if c.styles else "") for c in kept))
    headings = [column.heading for column in kept]
    left_out = [c.heading for c in columns if c.heading not in headings and not c.empty]
    if not left_out:
        return Group(table)
    return Group(table, Text(f"a wider screen shows: {', '.join(left_out)}", style="dim"))
