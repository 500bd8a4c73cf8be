"""How far a build has come, for whoever watches."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import Callable, Iterator

# Fewer are done before a bar could be read.
WORTH_A_BAR = 100_000


@contextmanager
def building_bar(title: str, num_molecules: int | None) -> Iterator[Callable[[int], None]]:
    """Give a function to call with the number of molecules just done; any thread may call it.

    A bar is drawn on a terminal alone, and only for ``WORTH_A_BAR`` molecules or more.
    """
    if num_molecules is None or num_molecules < WORTH_A_BAR or not sys.stderr.isatty():
        yield _nothing
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=num_molecules)
        yield lambda done: progress.advance(task, done)


def _nothing(_done: int) -> None:
    pass
