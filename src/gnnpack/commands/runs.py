"""`gnnpack runs [PATHS...]`: runs and sweeps, how far they are and what came of them."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Sequence

from rich.console import Console

from gnnpack.commands.errors import errors_for_people
from gnnpack.experiments import runs_table
from gnnpack.experiments.choose_runs import filter_runs, sort_runs
from gnnpack.experiments.find_runs import find_runs
from gnnpack.experiments.run_folder import RunFacts
from gnnpack.experiments.run_state import STATES
from gnnpack.experiments.watch import pick_watched, watch

OUTPUTS = Path("outputs")
# No line of ours is as long; a program that reads our output wants whole lines.
PIPE_WIDTH = 1_000_000
EXAMPLES = """examples:
  gnnpack runs                                    everything below outputs/
  gnnpack runs outputs/sweeps/seeds --failed      what failed there, and why
  gnnpack runs --sort=test_mae --limit 5          the five best
  gnnpack runs --filter packer=lpfhp,optimal --filter optimizer.lr=1e-3
  gnnpack runs --csv > runs.csv                   every number, unrounded
  gnnpack runs --watch                            the running sweep, live

A KEY is state, sweep, variant, started, seconds, molecules_per_second, filler, folder, an option
(packer), a config key (optimizer.lr) or a key of summary.json (test_mae)."""


def main() -> None:
    """List, filter, write or watch the runs that the command line names."""
    arguments = parse(sys.argv[1:])
    with errors_for_people("gnnpack runs"):
        paths = arguments.paths or ([OUTPUTS] if OUTPUTS.is_dir() else [])
        if arguments.watch:
            watch_runs(paths, arguments)
        else:
            list_runs(paths, arguments)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The arguments; ends the program with a sentence where one is wrong."""
    parser = argparse.ArgumentParser(
        prog="gnnpack runs",
        description="List runs and sweeps: state, errors, speed, filler, time.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="runs, sweeps, folders above (outputs)"
    )
    parser.add_argument("--failed", action="store_true", help="failed runs only, with the reason")
    parser.add_argument("--state", choices=STATES, help="runs in this state only")
    parser.add_argument(
        "--filter", action="append", default=[], metavar="KEY=VALUE", help="may be given repeatedly"
    )
    parser.add_argument("--sort", metavar="KEY", help="least first; --sort=-KEY: largest first")
    parser.add_argument("--limit", type=_count, metavar="N", help="the first N runs only")
    parser.add_argument("--csv", action="store_true", help="CSV with all results, unrounded")
    parser.add_argument("--watch", action="store_true", help="a live table until all has ended")
    parser.add_argument(
        "--interval", type=_seconds, default=2.0, metavar="S", help="seconds between looks (2)"
    )
    arguments = parser.parse_args(words)
    if arguments.watch and arguments.csv:
        parser.error("--watch shows a table; leave out --csv")
    return arguments


def list_runs(paths: Sequence[Path], arguments: argparse.Namespace) -> None:
    """Print the table or the CSV of the runs asked for."""
    found = find_runs(paths)
    runs = choose(found, arguments)
    if arguments.csv:
        runs_table.write_csv(runs, sys.stdout)
        return
    if not runs:
        print(_none(found, paths))
        return
    out = console()
    for line in runs_table.sweep_lines(found):
        out.print(line, markup=False, highlight=False)
    reasons = arguments.failed or arguments.state == "failed"
    out.print(runs_table.runs_table(runs, time.time(), width=out.width, reasons=reasons))


def choose(found: Sequence[RunFacts], arguments: argparse.Namespace) -> list[RunFacts]:
    """The runs that the flags leave, in the order they ask for."""
    runs = filter_runs(found, arguments.filter)
    states = {arguments.state} - {None} | ({"failed"} if arguments.failed else set())
    if states:
        runs = [run for run in runs if run.state in states]
    if arguments.sort:
        runs = sort_runs(runs, arguments.sort)
    return runs[: arguments.limit]


def watch_runs(paths: Sequence[Path], arguments: argparse.Namespace) -> None:
    """Show what the running sweeps do until they have ended."""
    folders = pick_watched(find_runs(paths)) if not arguments.paths else list(paths)
    if not folders:
        print(_none([], paths))
        return
    watch(
        lambda: choose(find_runs(folders), arguments), console(), seconds=float(arguments.interval)
    )


def console() -> Console:
    """The terminal, or a pipe that is never too narrow."""
    out = Console()
    return out if out.is_terminal else Console(width=PIPE_WIDTH, soft_wrap=True)


def _none(found: Sequence[RunFacts], paths: Sequence[Path]) -> str:
    if found:
        return f"None of the {len(found):,} runs is such a one (--failed, --state, --filter)."
    where = " or ".join(str(path) for path in paths) or f"{OUTPUTS}/ (there is none here)"
    return f"No runs in {where}. `python train.py` makes one; give the folder that holds yours."


def _count(text: str) -> int:
    number = int(text) if text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of runs, 1 or more")
    return number


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    # Also refuses nan.
    if not 0.1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, 0.1 to 86400")
    return seconds
