"""An `Advice` as a table for people, and as plain values for JSON."""

from __future__ import annotations

from typing import Any, Collection, Sequence

from rich.console import Console
from rich.table import Table

from gnnpack.packing.advice import Advice, ShapeRow, eligible_rows
from gnnpack.packing.advice_words import percent

# A size that fills this much more than all smaller ones is worth a row of its own.
_STEP_UP = 0.005
HEADINGS = (
    "atoms",
    "packs",
    "lower bound",
    "filled",
    "most molecules",
    "update packs",
    "update bytes",
    "",
)


def interesting_rows(advice: Advice, asked: Collection[int]) -> list[ShapeRow]:
    """Rows a reader wants first: recommended, asked for, fullest, and where fill takes a step."""
    eligible = eligible_rows(advice.rows, advice.largest)
    chosen = {advice.recommended.num_atoms, _fullest(advice).num_atoms, *asked}
    best = 0.0
    for row in eligible:
        if row.atom_efficiency >= best + _STEP_UP:
            best = row.atom_efficiency
            chosen.add(row.num_atoms)
    return [row for row in advice.rows if row.num_atoms in chosen]


def cells(row: ShapeRow, advice: Advice, published: Collection[int]) -> tuple[str, ...]:
    """The cells of a row, in the order of `HEADINGS`."""
    notes = []
    if row == advice.recommended:
        notes.append("recommended")
    elif row == _fullest(advice):
        notes.append("fullest")
    if row.num_atoms in published:
        notes.append("published")
    if row.unusable_atoms:
        notes.append(f"wastes {row.unusable_atoms}")
    return (
        f"{row.num_atoms:,}",
        f"{row.packs:,}",
        f"{row.lower_bound:,}",
        percent(row.atom_efficiency),
        f"{row.max_molecules:,}",
        f"{row.packs_per_update:,}",
        byte_size(row.batch_bytes),
        ", ".join(notes),
    )


def print_table(
    rows: Sequence[ShapeRow], advice: Advice, published: Collection[int], console: Console
) -> None:
    """The rows, at most 80 characters wide."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in HEADINGS:
        if heading:
            # A name of two words takes two lines, so that the column is as narrow as its numbers.
            name = heading.replace(" ", "\n", 1)
            table.add_column(name, justify="right", vertical="bottom", no_wrap=True)
        else:
            table.add_column("", vertical="bottom", overflow="fold", min_width=11)
    for row in rows:
        style = "bold" if row == advice.recommended else None
        table.add_row(*cells(row, advice, published), style=style)
    console.print(table)


def as_dict(advice: Advice, published: Collection[int], sentences: Sequence[str]) -> dict[str, Any]:
    """For JSON: what was asked, the sentences, every row."""
    plain = {key: value for key, value in advice._asdict().items() if key != "rows"}
    return {
        **plain,
        "recommended": _plain(advice.recommended),
        "published": list(published),
        "sentences": list(sentences),
        "rows": [_plain(row) for row in advice.rows],
    }


def byte_size(number: float) -> str:
    """Three digits in the unit that suits them.

    >>> byte_size(800), byte_size(34_419), byte_size(1_250_000)
    ('800 B', '34.4 kB', '1.25 MB')
    """
    value, units = float(number), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.3g} {units[0]}"


def _fullest(advice: Advice) -> ShapeRow:
    return max(eligible_rows(advice.rows, advice.largest), key=lambda row: row.atom_efficiency)


def _plain(row: ShapeRow) -> dict[str, Any]:
    return {**row._asdict(), "proven_optimal": row.proven_optimal}
