"""Columns of a table in which nothing was measured, told in a sentence instead."""

from __future__ import annotations

from typing import Sequence

from gnnpack.experiments.report_numbers import NOT_MEASURED


def measured_columns(
    headings: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[list[str], list[list[str]], list[str]]:
    """Headings and rows of the columns in which a run measured anything; a sentence on the others.

    >>> measured_columns(["run", "p50", "p90"], [["a", "1", "not measured"]])
    (['run', 'p50'], [['a', '1']], ['Not measured in any run: p90.'])
    """
    empty = [
        bool(rows) and all(row[i] == NOT_MEASURED for row in rows) for i in range(len(headings))
    ]
    kept = [i for i, nothing in enumerate(empty) if not nothing]
    absent = [heading for heading, nothing in zip(headings, empty) if nothing]
    said = [f"Not measured in any run: {', '.join(absent)}."] if absent else []
    return [headings[i] for i in kept], [[row[i] for i in kept] for row in rows], said
