"""What a wider and a deeper network costs, beside the published figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Sequence

from gnnpack.experiments.comparison import Comparison, at_most, comparisons
from gnnpack.experiments.published import MODEL_SIZE, MODEL_SIZE_SOURCE
from gnnpack.experiments.report_figures import axis, color, figure, symbol
from gnnpack.experiments.report_numbers import count, finite, spread
from gnnpack.experiments.report_section import Section, Table
from gnnpack.experiments.verdict import spread_shown

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts

# None of those that `symbol` gives to what was measured.
PUBLISHED_MARK = {"symbol": "star", "size": 12}


def paper_model_size(runs: Sequence[RunFacts]) -> Section | None:
    """Features and blocks: molecules/s, seconds over those of the smallest network, errors."""
    found = comparisons(runs, ("model.hidden_channels", "model.num_interactions"), _size)
    if not found:
        return None
    found, left_out = at_most(found)
    rows, folders = [], []
    traces: list[dict[str, Any]] = []
    for one in found:
        costs = _costs(one)
        published = _published(costs)
        for answer in one.answers:
            features, blocks = answer.value
            rate = answer.rate
            rows.append(
                [
                    f"{one.prefix}{features}",
                    str(blocks),
                    "" if rate is None else count(rate.mean),
                    _times(costs.get(answer.value)),
                    _times(published.get(answer.value)),
                    f"{MODEL_SIZE[answer.value]:.2f}" if answer.value in MODEL_SIZE else "",
                    spread_shown(spread(answer.errors().values())),
                ]
            )
            folders.append(answer.folders)
        traces += _lines(f"{one.prefix}measured here", costs, "solid", len(traces))
    # Of one comparison the depths have the colours of ours.
    first = len(traces) if len(found) > 1 else 0
    theirs = _lines("published: QM9, 16 Bow IPUs", _published(MODEL_SIZE), "dash", first)
    # Where one width was measured there are no lines to tell them by.
    traces += [{**one, "marker": {**one["marker"], **PUBLISHED_MARK}} for one in theirs]
    units = " or ".join(sorted({one.unit for one in found}))
    headings = (
        "features",
        "blocks",
        "molecules/s here",
        "seconds here, over the smallest measured",
        "published, over the same size's",
        "published s an epoch",
        f"test MAE ({units})",
    )
    sentences = [
        f"Published figures are from {MODEL_SIZE_SOURCE}; other machines and all of QM9, so only "
        "how cost grows can be set beside ours. That theirs hardly grows up to 256 features says "
        "that something else than the network took the time there.",
        *left_out,
    ]
    x = axis("features", log=True, tickvals=[64, 128, 256, 512])
    y = axis("seconds a molecule, over the smallest measured", log=True)
    return Section(
        "Size of the network",
        sentences,
        Table(headings, rows, folders),
        figure(traces, x, y, showlegend=True),
        "model_size",
    )


def _size(run: RunFacts) -> tuple[int, int] | None:
    model = run.config.get("model")
    if not isinstance(model, Mapping):
        return None
    features, blocks = (finite(model.get(k)) for k in ("hidden_channels", "num_interactions"))
    return None if features is None or blocks is None else (int(features), int(blocks))


def _costs(one: Comparison) -> dict[tuple[int, int], float]:
    """Size -> seconds a molecule over those of the smallest size measured."""
    rates = {answer.value: answer.rate for answer in one.answers}
    known = {size: 1 / rate.mean for size, rate in rates.items() if rate is not None}
    base = known[min(known)] if known else 1.0
    return {size: seconds / base for size, seconds in known.items()}


def _published(measured: Mapping[tuple[int, int], Any]) -> dict[tuple[int, int], float]:
    """Size -> published seconds over those of the smallest size that was measured."""
    both = [size for size in measured if size in MODEL_SIZE]
    if not both or min(measured) not in MODEL_SIZE:
        return {}
    base = MODEL_SIZE[min(measured)]
    return {size: MODEL_SIZE[size] / base for size in both}


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _lines(
    name: str, costs: Mapping[tuple[int, int], float], line: str, first: int
) -> list[dict[str, Any]]:
    depths = sorted({blocks for _, blocks in costs})
    return [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": f"{name}, {blocks} blocks",
            "x": [features for features, deep in sorted(costs) if deep == blocks],
            "y": [costs[size] for size in sorted(costs) if size[1] == blocks],
            "line": {"color": color(number), "dash": line},
            "marker": {"color": color(number), "symbol": symbol(number)},
        }
        for number, blocks in enumerate(depths, first)
    ]
