"""Do filters from a table learn what exact ones learn, and how much faster?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, Sequence

from gnnpack.experiments.comparison import at_most, comparisons, paired
from gnnpack.experiments.packer_question import accuracy_and_speed, label
from gnnpack.experiments.report_numbers import count, finite, spread
from gnnpack.experiments.report_section import Section, Table
from gnnpack.experiments.verdict import difference_shown, spread_shown, verdict

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts

EXACT = "exact"


def filter_question(runs: Sequence[RunFacts]) -> Section | None:
    """Orders and sizes of tables: errors seed by seed beside exact filters', and speed."""
    found = comparisons(runs, ("model.filter",), _filter)
    if not found:
        return None
    found, sentences = at_most(found)
    rows, folders = [], []
    for one in found:
        base = one.answer((EXACT,))
        for answer in one.beginning_with(base):
            rate = answer.rate
            base_rate = base.rate if base is not None else None
            errors = answer.errors()
            rows.append(
                [
                    f"{one.prefix}{label(answer)}",
                    spread_shown(spread(errors.values())),
                    difference_shown(paired(answer, base)) if base not in (None, answer) else "",
                    str(len(errors)),
                    "" if rate is None else count(rate.mean),
                    f"{rate.mean / base_rate.mean:.2f}" if rate and base_rate else "",
                ]
            )
            folders.append(answer.folders)
        if base is not None:
            differences = {
                label(answer): paired(answer, base) for answer in one.answers if answer is not base
            }
            told = verdict(differences, "exact filters", one.unit, "tables")
            sentences += [f"{one.prefix}{told[0]}", *told[1:]] if told else []
    units = " or ".join(sorted({one.unit for one in found}))
    headings = (
        "filters",
        f"test MAE ({units})",
        "less exact ones'",
        "seeds",
        "molecules/s",
        "over exact ones'",
    )
    caption = "Errors: mean and standard deviation over the seeds."
    return Section(
        "Filters from tables: what is learnt, and how fast",
        list(dict.fromkeys(sentences)),
        Table(headings, rows, folders, caption),
        accuracy_and_speed(found),
        "filters",
    )


def _filter(run: RunFacts) -> tuple[str, ...] | None:
    """Exact, or the table's order and what decides its size."""
    model = run.config.get("model")
    node = model.get("filter") if isinstance(model, Mapping) else None
    if isinstance(node, str):
        return (EXACT,) if node == EXACT else (node, "default")
    if not isinstance(node, Mapping):
        return None
    order, knots = str(node.get("order", "cubic")), finite(node.get("num_knots"))
    if knots is not None:
        return order, f"{knots:.0f} knots"
    return order, f"tolerance {finite(node.get('tolerance')) or 0:g}"
