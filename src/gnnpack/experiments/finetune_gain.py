"""What pretrained weights are worth, beside random ones, where there are few molecules."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Mapping, Sequence, Tuple

from gnnpack.experiments.comparison import Comparison, Seeds, comparisons
from gnnpack.experiments.report_figures import axis, color, figure, symbol
from gnnpack.experiments.report_numbers import Spread, finite, shown, spread
from gnnpack.experiments.report_section import Section, Table
from gnnpack.experiments.verdict import spread_shown

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts

SCRATCH = "from scratch"
# What tells the runs apart; they share the number of updates and all the rest.
VARIED = ("checkpoint", "finetune", "dataset.split.train", "dataset.split.seed")

# (training molecules, what the weights were before) -> seeds -> test error.
Errors = Mapping[Tuple[int, str], Mapping[Seeds, float]]


def finetune_gain(runs: Sequence[RunFacts]) -> Section | None:
    """Test errors against training molecules, pretrained and from scratch.

    None where not both were run with the same settings and as many updates.
    """
    origins = {_origin(run) for run in runs if run.summary and _answer(run)} - {""}
    answer_of = partial(_answer, with_origin=len(origins) > 1)
    found = [one for one in comparisons(runs, VARIED, answer_of) if _has_both(one)]
    if not found:
        return None
    sentences, rows, folders = [], [], []
    traces: list[dict[str, Any]] = []
    for one in found:
        errors = {answer.value: answer.errors() for answer in one.answers}
        sentences += [f"{one.prefix}{told}" for told in _gains(errors, one.unit)]
        for answer in one.answers:
            molecules, begun = answer.value
            mine = errors[answer.value]
            rows.append(
                [
                    f"{one.prefix}{begun}",
                    f"{molecules:,}",
                    spread_shown(spread(mine.values())),
                    str(len(mine)),
                    _times(errors.get((molecules, SCRATCH), {}), mine) if begun != SCRATCH else "",
                ]
            )
            folders.append(answer.folders)
        traces += _lines(one, errors, len(traces))
    units = " or ".join(sorted({one.unit for one in found}))
    headings = ("begun", "molecules", f"test MAE ({units})", "seeds", f"{SCRATCH}, times this")
    caption = (
        "Errors: mean and standard deviation over the seeds. Of one number of molecules all rows "
        "have the same network, test molecules and updates; they are set beside each other over "
        "the seeds that both have, of the run and of its training molecules."
    )
    sentences += _origins(found)
    sizes = sorted({answer.value[0] for one in found for answer in one.answers})
    x = axis("training molecules", log=True, tickvals=sizes)
    y = axis(f"test MAE ({units})", log=True)
    return Section(
        "Fine-tuning: what pretraining is worth",
        sentences,
        Table(headings, rows, folders, caption),
        figure(traces, x, y, showlegend=True),
        "finetune_gain",
    )


def _answer(run: RunFacts, *, with_origin: bool = False) -> tuple[int, str] | None:
    """Training molecules, and what the weights were before; None for runs without a checkpoint."""
    settings, molecules = run.config.get("finetune"), _molecules(run)
    if not isinstance(settings, Mapping) or not run.config.get("checkpoint") or molecules is None:
        return None
    if settings.get("from_scratch"):
        return molecules, SCRATCH
    origin = _origin(run) if with_origin else ""
    return molecules, _begun(settings) + (f", from {origin}" if origin else "")


def _origin(run: RunFacts) -> str:
    """Begin of the checkpoint's SHA-256; "" for random weights."""
    told = run.record.get("pretrained")
    return str(told.get("sha256") or "")[:8] if isinstance(told, Mapping) else ""


def _begun(settings: Mapping[str, Any]) -> str:
    """The settings of ``finetune`` in words, but for what is usual.

    >>> _begun({"head": "new", "freeze": ["embedding", 0], "body_lr": 0.3})
    'fine-tuned, new head, embedding and 0 frozen, body at 0.3 of the rate'
    """
    parts = ["fine-tuned"]
    freeze = settings.get("freeze")
    names = [str(name) for name in (freeze if isinstance(freeze, list) else [freeze])]
    if settings.get("head") == "new":
        parts.append("new head")
    if freeze not in (None, "none", []):
        several = ", ".join(names[:-1]) + " and " if len(names) > 1 else ""
        parts.append(f"{several}{names[-1]} frozen")
    rate = finite(settings.get("body_lr"))
    if rate not in (None, 1.0):
        parts.append(f"body at {rate:g} of the rate")
    return ", ".join(parts)


def _molecules(run: RunFacts) -> int | None:
    """Of the training split: as counted, or as asked for."""
    counted = finite(run.summary.get("num_molecules"))
    if counted is None:
        dataset = run.config.get("dataset")
        split = dataset.get("split") if isinstance(dataset, Mapping) else None
        asked = split.get("train") if isinstance(split, Mapping) else None
        # A fraction says nothing of how many there are.
        counted = float(asked) if isinstance(asked, int) and not isinstance(asked, bool) else None
    return None if counted is None or counted < 1 else int(counted)


def _has_both(one: Comparison) -> bool:
    begun = {answer.value[1] for answer in one.answers}
    return SCRATCH in begun and len(begun) > 1


def _paired(
    base: Mapping[Seeds, float], other: Mapping[Seeds, float]
) -> tuple[Spread, Spread] | None:
    """Both over the seeds that both have; None without any, or where ``other`` has no error."""
    both = [seeds for seeds in base if seeds in other]
    one, two = spread(base[seeds] for seeds in both), spread(other[seeds] for seeds in both)
    return (one, two) if one and two and two.mean > 0 else None


def _times(base: Mapping[Seeds, float], other: Mapping[Seeds, float]) -> str:
    both = _paired(base, other)
    return "" if both is None else f"{both[0].mean / both[1].mean:.2f}"


def _gains(errors: Errors, unit: str) -> list[str]:
    """A sentence a way of fine-tuning: where it helps most, and what scratch needs to catch up."""
    told = []
    scratch = {n: found for (n, begun), found in errors.items() if begun == SCRATCH}
    for name in sorted({begun for _, begun in errors} - {SCRATCH}):
        mine = {n: found for (n, begun), found in errors.items() if begun == name}
        pairs = {n: _paired(scratch[n], mine[n]) for n in sorted(mine) if n in scratch}
        both = {n: pair for n, pair in pairs.items() if pair is not None}
        if not both:
            continue
        best = max(both, key=lambda n: both[n][0].mean / both[n][1].mean)
        base, least = both[best]
        fewest = min(both)
        told.append(
            f"{name}: at best, with {best:,} molecules, {spread_shown(least, 3)} {unit}, {SCRATCH} "
            f"{spread_shown(base, 3)} {unit}, {base.mean / least.mean:.1f} times as much. "
            f"{_catches_up(mine[fewest], scratch, fewest, unit)}"
        )
    return told


def _catches_up(
    mine: Mapping[Seeds, float],
    scratch: Mapping[int, Mapping[Seeds, float]],
    fewest: int,
    unit: str,
) -> str:
    """How many molecules random weights need for the error that ``fewest`` give pretrained ones."""
    pairs = {n: _paired(found, mine) for n, found in sorted(scratch.items())}
    both = {n: pair for n, pair in pairs.items() if pair is not None}
    enough = [n for n, (base, goal) in both.items() if base.mean <= goal.mean]
    reached = f"{enough[0]:,} suffice" if enough else f"{max(both):,} do not suffice"
    goal = both[fewest][1].mean
    return f"For the {shown(goal, 3)} {unit} of {fewest:,} molecules, {reached} {SCRATCH}."


def _origins(found: Sequence[Comparison]) -> list[str]:
    """What the runs began with, and what of it is not counted."""
    origins = {}
    for one in found:
        for answer in one.answers:
            for run in answer.runs:
                told = run.record.get("pretrained")
                if isinstance(told, Mapping) and told.get("sha256"):
                    origins[str(told["sha256"])] = told
    began = [
        f"{told.get('target')} of {told.get('dataset')} ({finite(told.get('updates')) or 0:,.0f} "
        f"updates; {told.get('path')}, SHA-256 {sha[:12]})"
        for sha, told in sorted(origins.items())
    ]
    if not began:
        return []
    return [f"Begun with {'; '.join(began)}. What that training cost is not counted."]


def _lines(one: Comparison, errors: Errors, first: int) -> list[dict[str, Any]]:
    """A line for random weights and for each way of fine-tuning, with the spread over seeds."""
    names = sorted({begun for _, begun in errors}, key=lambda begun: (begun != SCRATCH, begun))
    traces = []
    for number, name in enumerate(names, first):
        found = {n: spread(e.values()) for (n, begun), e in errors.items() if begun == name}
        points = [(n, error) for n, error in sorted(found.items()) if error is not None]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": f"{one.prefix}{name}",
                "x": [n for n, _ in points],
                "y": [error.mean for _, error in points],
                "error_y": {
                    "type": "data",
                    "array": [error.deviation or 0.0 for _, error in points],
                },
                "line": {"color": color(number)},
                "marker": {"color": color(number), "symbol": symbol(number), "size": 8},
            }
        )
    return traces
