"""Looking at a sweep again and again until it has ended."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Callable, Iterator, Sequence

from rich.console import Console
from rich.live import Live

from gnnpack.experiments import key_press
from gnnpack.experiments.job import SWEEP
from gnnpack.experiments.run_folder import RunFacts, read_json
from gnnpack.experiments.runs_table import counts
from gnnpack.experiments.watch_table import over, watch_view


def pick_watched(runs: Sequence[RunFacts]) -> list[Path]:
    """Folders of the sweeps and single runs that go on; if none does, of the newest sweep."""
    going_on = [_home(run) for run in runs if run.state == "running"]
    if going_on:
        return list(dict.fromkeys(going_on))
    sweeps = dict.fromkeys(_home(run) for run in runs if run.sweep is not None)
    return sorted(sweeps, key=_started)[-1:]


def watch(
    read: Callable[[], Sequence[RunFacts]],
    console: Console,
    *,
    seconds: float,
    clock: Callable[[], float] = time.time,
    wait: Callable[[float], bool] | None = None,
) -> None:
    """Show the runs that ``read`` finds every ``seconds`` until all have ended, then say so.

    A terminal shows one table that changes, and q or Ctrl-C ends it; elsewhere a table is printed
    each time. ``wait``: waits for some seconds, true to end.
    """
    with contextlib.suppress(KeyboardInterrupt), _showing(console) as show:
        with contextlib.ExitStack() as stack:
            wait = wait or stack.enter_context(key_press.waiting())
            while True:
                runs = read()
                show(runs, clock())
                if over(runs, clock()) or wait(seconds):
                    break
        if over(runs, clock()):
            console.print(f"All have ended: {counts(runs)}." if runs else "There are no runs now.")


@contextlib.contextmanager
def _showing(console: Console) -> Iterator[Callable[[Sequence[RunFacts], float], None]]:
    if not console.is_terminal:
        yield lambda runs, now: console.print(watch_view(runs, now, width=console.width))
        return
    with Live(console=console, auto_refresh=False) as live:

        def show(runs: Sequence[RunFacts], now: float) -> None:
            size = console.size
            live.update(watch_view(runs, now, width=size.width, height=size.height), refresh=True)

        yield show


def _home(run: RunFacts) -> Path:
    return run.folder if run.sweep is None else run.folder.parent


def _started(sweep: Path) -> tuple[str, float]:
    """To order sweeps by; one with a damaged file by the folder's own time."""
    started = read_json(sweep / SWEEP)[0].get("started")
    return (str(started or ""), sweep.stat().st_mtime)
