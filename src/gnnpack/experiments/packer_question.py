"""Does packing change what is learnt, and what does it bring?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Sequence

from gnnpack.experiments.comparison import Answer, Comparison, at_most, comparisons, paired
from gnnpack.experiments.packs_on_ranks import packs_on_ranks
from gnnpack.experiments.paper_ablation import STEPS
from gnnpack.experiments.report_figures import axis, color, figure, symbol
from gnnpack.experiments.report_numbers import count, finite, percent, spread
from gnnpack.experiments.report_section import Section, Table
from gnnpack.experiments.verdict import difference_shown, spread_shown, verdict

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts

PADDING = "one_per_pack"


def packer_question(runs: Sequence[RunFacts]) -> Section | None:
    """Packers and pack sizes: errors seed by seed beside plain padding's, filler, speed."""
    found = comparisons(runs, ("packer", "shape"), _packer)
    if not found:
        return None
    found, sentences = at_most(found)
    rows, folders = [], []
    for one in found:
        base = _padding(one)
        for answer in one.beginning_with(base):
            rows.append(_row(one, answer, base))
            folders.append(answer.folders)
        if base is not None:
            differences = {
                label(answer): paired(answer, base) for answer in one.answers if answer is not base
            }
            told = verdict(differences, PADDING, one.unit, "packers")
            sentences += [f"{one.prefix}{told[0]}", *told[1:]] if told else []
    units = sorted({one.unit for one in found})
    headings = (
        "packer, atoms of a pack",
        f"test MAE ({' or '.join(units)})",
        f"less {PADDING}'s",
        "seeds",
        "filler %",
        "molecules an update",
        "molecules/s",
        f"over {PADDING}'s",
    )
    caption = "Errors: mean and standard deviation over the seeds. Every run has the same test set."
    return Section(
        "Packers: what is learnt, and how fast",
        list(dict.fromkeys(sentences)),
        Table(headings, rows, folders, caption),
        accuracy_and_speed(found),
        "packers",
    )


def _packer(run: RunFacts) -> tuple[str, int] | None:
    """Packer and atoms of a pack, 0 where these are not on record; None of the ablation's runs."""
    if run.variant in STEPS:
        return None
    node = run.config.get("packer")
    target = node.get("_target_") if isinstance(node, Mapping) else None
    shape = run.config.get("shape")
    asked = shape.get("num_atoms") if isinstance(shape, Mapping) else None
    atoms = finite(run.summary.get("pack_atoms")) or finite(asked) or 0
    return None if target is None else (str(target).split(".")[-1], int(atoms))


def label(answer: Answer) -> str:
    """What was asked for, in words."""
    return ", ".join(str(part) for part in answer.value if part)


def _padding(one: Comparison) -> Answer | None:
    return next((answer for answer in one.answers if answer.value[0] == PADDING), None)


def _row(one: Comparison, answer: Answer, base: Answer | None) -> list[str]:
    errors, rate = answer.errors(), answer.rate
    filled = spread(finite(run.summary.get("filler_fraction")) for run in answer.runs)
    planned = spread(finite(run.summary.get("atom_efficiency")) for run in answer.runs)
    filler = filled.mean if filled else 1 - planned.mean if planned else None
    base_rate = base.rate if base is not None else None
    return [
        f"{one.prefix}{label(answer)}",
        spread_shown(spread(errors.values())),
        difference_shown(paired(answer, base)) if base not in (None, answer) else "",
        str(len(errors)),
        percent(filler),
        _update(answer.runs[0]),
        "" if rate is None else count(rate.mean),
        f"{rate.mean / base_rate.mean:.2f}" if rate and base_rate else "",
    ]


def _update(run: RunFacts) -> str:
    packs, molecules = (run.summary.get(key) for key in ("num_packs", "num_molecules"))
    batch = run.config.get("batch_size")
    if not (isinstance(packs, int) and isinstance(molecules, int) and isinstance(batch, int)):
        return ""
    return f"{packs_on_ranks(packs, molecules, batch, 1).molecules_per_update:.1f}"


def accuracy_and_speed(found: Sequence[Comparison]) -> dict[str, Any] | None:
    """Test error against molecules/s, a mark an answer; None where neither was measured."""
    traces: list[dict[str, Any]] = []
    for one in found:
        for answer in one.answers:
            errors, rate = spread(answer.errors().values()), answer.rate
            if errors is None or rate is None:
                continue
            number = len(traces)
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": f"{one.prefix}{label(answer)}",
                    "x": [rate.mean],
                    "y": [errors.mean],
                    "error_x": {"type": "data", "array": [rate.deviation or 0.0]},
                    "error_y": {"type": "data", "array": [errors.deviation or 0.0]},
                    "marker": {"color": color(number), "symbol": symbol(number), "size": 9},
                }
            )
    if not traces:
        return None
    unit = " or ".join(sorted({one.unit for one in found}))
    x, y = axis("training molecules/s"), axis(f"test MAE ({unit})")
    return figure(traces, x, y, showlegend=True)
