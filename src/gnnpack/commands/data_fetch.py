"""`gnnpack data fetch hydronet|qm9 [NAME ...] [to=FOLDER] [mirror=URL]`."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Callable, Iterator

from gnnpack.commands.arguments import parse_arguments
from gnnpack.commands.errors import errors_for_people


@dataclass
class Arguments:
    """Download the raw files of a data set; what is there is checked, what is partial goes on.

    First the data set, hydronet or qm9, then, if not all usual files are wanted, their short names:
    hydronet: xyz, splits (usual), npz; qm9: archive, uncharacterized (usual).
    mirror: a folder on the web that holds copies under their published names.
    """

    to: str = ""
    mirror: str = ""
    attempts: str = "6"
    timeout: str = "30"


def main() -> None:
    """Download, one file after the other, and say where they lie."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    command = "gnnpack data fetch"
    words = [word for word in sys.argv[1:] if "=" not in word and not word.startswith("-")]
    given = [word for word in sys.argv[1:] if word not in words]
    arguments = parse_arguments(Arguments, given, command)
    with errors_for_people(command):
        if not words:
            raise ValueError("name the data set: gnnpack data fetch hydronet, or qm9.")
        fetch_files(words[0], words[1:], arguments)


def fetch_files(dataset: str, names: list[str], arguments: Arguments) -> None:
    """Fetch the named files of a data set; ValueError or OSError with the cure."""
    from gnnpack.datasets.fetch import fetch
    from gnnpack.datasets.fetch_files import choose_files
    from gnnpack.datasets.fetch_http import Patience

    files = choose_files(dataset, names)
    folder = arguments.to or os.path.join(os.environ.get("GNNPACK_DATA", "data"), "raw", dataset)
    patience = Patience(
        attempts=int(_number("attempts", arguments.attempts, smallest=1)),
        timeout=_number("timeout", arguments.timeout, smallest=0.001),
    )
    for file in files:
        with transfer_bar(file.name) as advance:
            found = fetch(file, folder, arguments.mirror, patience, advance)
        said = "was there, unchanged" if found.was_here else "fetched"
        print(f"{found.path}: {said} ({found.checksum})")


@contextmanager
def transfer_bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Give a function that shows how many bytes have come, on a terminal alone."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _number(name: str, text: str, smallest: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not value >= smallest or (name == "attempts" and value != int(value)):
        raise ValueError(f"{name}={text} must be a number, {smallest:g} or more.")
    return value
