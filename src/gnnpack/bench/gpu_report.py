"""The tables and the figure of `gnnpack bench gpu`, from its lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from rich.console import Console

from gnnpack.bench.cells import duration
from gnnpack.bench.gpu_figure import gpu_figure
from gnnpack.bench.gpu_goals import epoch_results, goal_rows
from gnnpack.bench.gpu_lines import RUN, Lines
from gnnpack.bench.gpu_roof import ROOF
from gnnpack.bench.gpu_steps import LEARNING, PYG, WHOLE_EPOCH
from gnnpack.bench.table import make_table
from gnnpack.tracking.json_file import replace_file

GOALS = ("figure", "goal", "aim", "reached", "")
# Columns for which the console is too narrow; Markdown shows them.
WIDE = ("aim", "worst gradient", "graph, ranges")


class Table(NamedTuple):
    """One table, all text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(lines: Lines) -> list[Table]:
    """Goals first; tables of steps that have no lines are left out."""
    results = lines.results
    found = [
        Table("Goals", GOALS, goal_rows(results)),
        Table("Errors", ("step", "error"), [[*item] for item in lines.errors.items()]),
        Table("Roof", ("what", "rate"), _roof(results.get(ROOF))),
        Table("Checks against float64", CHECKS, [*_checks(results)]),
        Table("Interaction blocks forward, table included", BLOCKS, [*_blocks(results)]),
        Table("Training epochs", EPOCHS, [*_epochs(results)]),
        Table("Water clusters, synthetic geometry", CLUSTERS, [*_clusters(results)]),
        Table("Kernels, replayed", KERNELS, [*_kernels(results)]),
        Table("Learning", ("seconds", "updates", "validation MAE"), [*_learning(results)]),
    ]
    return [table for table in found if table.rows]


def write_gpu_report(lines: Lines) -> list[Path]:
    """Markdown and figure beside the lines; OSError with the cure when the disk refuses."""
    run, page = lines.results[RUN], lines.path.with_suffix(".md")
    drawn = gpu_figure(lines.results, lines.path.with_suffix(".png"))
    text = ["# gnnpack bench: gpu", "", *(f"* {key}: {value}" for key, value in run.items())]
    text += ["", f"![gpu]({lines.path.stem}.png)"] if drawn else []
    for table in tables(lines):
        text += ["", f"## {table.title}", ""]
        rule = ["---"] * len(table.columns)
        text += [f"| {' | '.join(cells)} |" for cells in (table.columns, rule, *table.rows)]
    with replace_file(page) as file:
        file.write("\n".join([*text, ""]))
    return [page, lines.path.with_suffix(".png")] if drawn else [page]


def print_tables(lines: Lines, console: Console | None = None) -> None:
    """All tables, the goals last."""
    console = console or Console()
    for table in reversed(tables(lines)):
        console.print()
        console.print(table.title, style="bold", markup=False)
        kept = [place for place, name in enumerate(table.columns) if name not in WIDE]
        shown = make_table([table.columns[place] for place in kept])
        for cells in table.rows:
            shown.add_row(*(cells[place] for place in kept))
        console.print(shown)


def _roof(roof: Mapping[str, Any] | None) -> list[list[str]]:
    if roof is None:
        return []
    rows = [
        ["copy in memory", f"{roof['copy_bytes_per_second'] / 1e12:.2f} TB/s"],
        ["copy in the cache", f"{roof['cache_copy_bytes_per_second'] / 1e12:.2f} TB/s"],
        ["a node of a graph", duration(roof["node_seconds"])],
    ]
    for precision, rates in roof["flop_per_second"].items():
        rows += [[f"{precision} {of}", f"{rate / 1e12:.1f} TFLOP/s"] for of, rate in rates.items()]
    return rows


CHECKS = ("setting", "products", "energies", "worst gradient", "positions", "same bits", "passed")


def _checks(results: Mapping[str, Any]) -> Iterable[list[str]]:
    for name, result in _named(results, "check "):
        for precision in ("float32", "tf32"):
            one = result[precision]
            ((worst, error),) = one["worst"].items()
            yield [
                name,
                precision,
                f"{one['energies']:.1e}",
                f"{error:.1e} {worst}",
                f"{one['positions']:.1e}",
                "yes" if one["same_bits"] else "no",
                "yes" if one["passed"] else "NO",
            ]


BLOCKS = (
    "atoms, channels, edges",
    "products",
    "graph",
    "graph, ranges",
    "from Python",
    "% of floor",
)


def _blocks(results: Mapping[str, Any]) -> Iterable[list[str]]:
    for name, result in _named(results, "block "):
        for precision in ("tf32", "float32"):
            one = result[precision]
            ways = (one[way]["median"] for way in ("graph", "graph_with_ranges", "eager"))
            yield [name, precision, *map(duration, ways), _percent(one["percent_of_floor"])]


EPOCHS = ("batch", "K", "products", "molecules/s", "input wait", "host an update", "captures")


def _epochs(results: Mapping[str, Any]) -> Iterable[list[str]]:
    for (batch, iterations, precision), result in sorted(epoch_results(results).items()):
        wait, host = result["input_wait_fraction"], result["host_seconds_per_update"]
        yield [
            f"{batch}",
            f"{iterations}",
            precision,
            _count(result["train_molecules_per_second"]),
            "" if wait is None else f"{100 * wait:.2f} %",
            "" if host is None else duration(host),
            _captures(result),
        ]
    for precision in ("float32", "tf32"):
        if PYG in results:
            rate = results[PYG][precision]["molecules_per_second"]
            batch = results[PYG]["batch_size"]
            yield [f"{batch} PyG", "", precision, _count(rate), "", "", ""]


CLUSTERS = ("step", "clusters", "products", "molecules/s", "epoch")


def _clusters(results: Mapping[str, Any]) -> Iterable[list[str]]:
    for name, result in _named(results, "clusters "):
        if "left_out" in result:
            yield [name, "", "", "", result["left_out"]]
            continue
        rate, seconds = (
            result["train_molecules_per_second"],
            result.get("extrapolated_epoch_seconds"),
        )
        if name == WHOLE_EPOCH.split(" ", 1)[1]:
            told = duration(result["clusters"] / rate) if rate else ""
        else:
            told = "" if seconds is None else f"{duration(seconds)}, extrapolated"
        yield [name, f"{result['clusters']:,}", result["precision"], _count(rate), told]


KERNELS = ("setting", "kernel", "time", "% of floor")


def _kernels(results: Mapping[str, Any]) -> Iterable[list[str]]:
    for name, result in _named(results, "kernels "):
        for kernel, one in result.items():
            if isinstance(one, Mapping):
                percent = _percent(one["percent_of_floor"])
                yield [name, kernel, duration(one["seconds"]["median"]), percent]


def _learning(results: Mapping[str, Any]) -> Iterable[list[str]]:
    run = results.get(LEARNING, {"curve": []})
    for one in run["curve"]:
        error = f"{one['val_mae']:.4g} {run['unit']}"
        yield [f"{one['seconds']:.1f}", f"{one['updates']:,}", error]


def _named(results: Mapping[str, Any], begin: str) -> list[tuple[str, Any]]:
    return [(name[len(begin) :], one) for name, one in results.items() if name.startswith(begin)]


def _captures(result: Mapping[str, Any]) -> str:
    made, again = result["graph_captures"], result["graph_recaptures"]
    return "" if made is None else f"{made}, {again} again"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
