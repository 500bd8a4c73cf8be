"""The live table of a sweep, as a function of its runs and the time."""

from __future__ import annotations

from typing import Any, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from gnnpack.experiments import run_facts
from gnnpack.experiments.columns import Column, draw
from gnnpack.experiments.report_numbers import finite
from gnnpack.experiments.run_folder import RunFacts
from gnnpack.experiments.run_state import ALIVE_SECONDS, ENDS
from gnnpack.experiments.runs_table import STYLES, counts, error_text, what
from gnnpack.experiments.time_left import run_seconds_left, sweep_seconds_left
from gnnpack.tracking.summary import duration

HEADINGS = ("job", "state", "epoch", "loss", "val MAE", "molecules/s", "time", "left", "on")
TEXTS = ("job", "state", "on")
# What a narrow screen can do without, first to last.
GIVE_WAY = ("on", "time", "val MAE", "loss", "molecules/s", "epoch")
SETTLED = ("done", "pruned")
PAUSE_SECONDS = 15.0
# Lines beside the rows: up to four above, heading, two below, cursor.
OTHER_LINES = 8


def watch_view(
    runs: Sequence[RunFacts], now: float, *, width: int, height: int | None = None
) -> Group:
    """Counts and time left of all runs; below, epoch, loss, speed and time left of each.

    ``now``: unix time; ``width`` and ``height``: of the screen, which holds the runs that go on
    first, then those that ended last, then those to come.
    """
    # Above and not below: a screen that is too small cuts the end off.
    told: list[RenderableType] = [Text(line, style="bold") for line in headline(runs, now)]
    shown = watched_rows(runs, height)
    if not shown:
        return Group(*told)
    rows = [cells(run, now) for run in shown]
    styles = [STYLES.get(run.state, "") for run in shown]
    columns = [
        Column(
            heading,
            column,
            number=heading not in TEXTS,
            styles=styles if heading == "state" else (),
        )
        for heading, column in zip(HEADINGS, zip(*rows))
    ]
    told.append(draw(columns, width, GIVE_WAY))
    others = len(runs) - len(shown)
    return Group(*told, *([Text(f"and {others:,} others", style="dim")] if others else []))


def watched_rows(runs: Sequence[RunFacts], height: int | None) -> list[RunFacts]:
    """The runs that a screen of ``height`` lines holds; all, in their own order, if they fit."""
    room = len(runs) if height is None else max(1, height - OTHER_LINES)
    return list(runs) if len(runs) <= room else sorted(runs, key=_urgency)[:room]


def cells(run: RunFacts, now: float) -> list[str]:
    """The cells of a run, in the order of `HEADINGS`."""
    live = run.live if run.state in ("running", "unfinished") else {}
    rate, left = run_facts.molecules_per_second(run), run_seconds_left(run, now)
    seconds = run_facts.seconds(run, now)
    return [
        what(run),
        _state(run, now),
        run_facts.epochs(run),
        _number(live.get("loss")),
        # A number of no known unit is better than none here: one sees whether it falls.
        error_text(run_facts.error(run, "val_mae")) or _number(run.live.get("val_mae")),
        "" if rate is None else f"{rate:,.0f}",
        "" if seconds is None else duration(seconds),
        "" if left is None else duration(left),
        str(run.status.get("device") or "") if run.state == "running" else "",
    ]


def headline(runs: Sequence[RunFacts], now: float) -> list[str]:
    """Which sweep, how many runs are in which state, and in what time all will have ended."""
    sweeps = dict.fromkeys(run.sweep for run in runs if run.sweep is not None)
    told = [f"sweep {', '.join(sweeps)}: {counts(runs)}" if sweeps else counts(runs)]
    if over(runs, now):
        return told
    if not any(run.state == "running" for run in runs):
        stopped = "Nothing runs now. If the sweep was stopped, its command starts what is missing."
        return [*told, stopped]
    left = sweep_seconds_left(runs, now)
    return told if left is None else [*told, f"about {duration(left)} left"]


def over(runs: Sequence[RunFacts], now: float) -> bool:
    """Whether nothing runs and nothing is still to begin."""
    if any(run.state in ("running", "missing") for run in runs):
        return False
    # Between two trials, or two jobs that are tried again, nothing runs either, for a moment.
    may_go_on = any(run.state not in SETTLED or _is_trial(run) for run in runs)
    ends = [end.timestamp() for end in map(run_facts.ended, runs) if end is not None]
    return not may_go_on or not ends or now - max(ends) > PAUSE_SECONDS


def _is_trial(run: RunFacts) -> bool:
    return run.sweep is not None and any(run.folder.parent.glob("study*.json"))


def _urgency(run: RunFacts) -> tuple[int, float]:
    if run.state == "running":
        return 0, 0.0
    end = run_facts.ended(run)
    if run.state in ENDS:
        return 1, 0.0 if end is None else -end.timestamp()
    return 2, 0.0


def _state(run: RunFacts, now: float) -> str:
    """The state; of a run that goes on its phase, or for how long it has told nothing."""
    if run.state != "running":
        return run.state
    written = finite(run.live.get("time"))
    if written is not None and now - written > ALIVE_SECONDS:
        return f"silent for {duration(now - written)}"
    if not run.live:
        # It has its lock; perhaps a device is not free yet.
        return "starting" if run.status else "waiting"
    phase = str(run.live.get("phase") or "")
    return phase if phase not in ("", "done") else "running"


def _number(value: Any) -> str:
    number = finite(value)
    return "" if number is None else f"{number:.4g}"
