"""`gnnpack bench compare A.json B.json`."""

from __future__ import annotations

import sys

USAGE = """Compare two reports of one benchmark, row by row.

usage: gnnpack bench compare A B

A, B: bench.json files, or the folders they lie in."""


def main() -> None:
    """Print what both reports say of each row, and which rows differ beyond their spreads."""
    arguments = sys.argv[1:]
    if any(argument in ("-h", "--help") for argument in arguments):
        print(USAGE)
        return
    if len(arguments) != 2:
        raise SystemExit(f"gnnpack bench compare: give two reports.\n\n{USAGE}")
    from gnnpack import bench

    try:
        first, second = map(bench.read_report, arguments)
        found = bench.compare(first, second)
    except ValueError as error:
        raise SystemExit(f"gnnpack bench compare: {error}") from error
    bench.print_comparison(found)
