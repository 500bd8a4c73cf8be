"""One honest sentence on differences of errors, made from the numbers."""

from __future__ import annotations

from typing import Mapping

from gnnpack.experiments.report_numbers import Spread, several, shown
from gnnpack.experiments.seed_statistics import half_width, stands_out


def verdict(differences: Mapping[str, Spread | None], base: str, unit: str, of: str) -> list[str]:
    """Whether any of the paired differences to ``base`` is more than its seeds can explain.

    Args:
        differences: label -> errors less those of ``base``, seed by seed.
        unit: of the errors.
        of: what the labels are, in the plural: packers.

    Returns:
        Sentences; none where nothing can be said.
    """
    told = {label: found for label, found in differences.items() if found is not None}
    if not told:
        return []
    judged = {label: found for label, found in told.items() if stands_out(found) is not None}
    if not judged:
        return [f"One seed only: no difference to {base} can be told from that of another seed."]
    outside = {label: found for label, found in judged.items() if stands_out(found)}
    widest = max(half_width(found) or 0.0 for found in judged.values())
    seeds = sorted({found.n for found in judged.values()})
    counted = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    how = (
        f"Of {counted} seeds; differences are taken seed by seed, and what is behind ± is the half "
        "of their 95 % interval (Student's t)."
    )
    if not outside:
        return [
            f"None of the {several(len(judged), of[:-1], of)} differs from {base} by more than its "
            f"seeds explain: every interval holds 0. Differences below {shown(widest, 2)} {unit} "
            "would not be seen everywhere.",
            how,
        ]
    named = ", ".join(
        f"{label} {found.mean:+.3g} ± {half_width(found) or 0.0:.2g} {unit}"
        for label, found in outside.items()
    )
    rest = len(judged) - len(outside)
    others = f" The other {rest} do not." if rest else ""
    return [
        f"{len(outside)} of {len(judged)} {of} differ from {base} by more than their seeds "
        f"explain: {named}.{others} Of so many intervals {0.05 * len(judged):.1f} leave 0 out by "
        "chance.",
        how,
    ]


def difference_shown(found: Spread | None) -> str:
    """A mean difference with the half of its interval, for a table's cell.

    >>> difference_shown(None), difference_shown(Spread(1, -2.0, -2.0, -2.0, None))
    ('', '-2')
    """
    if found is None:
        return ""
    width = half_width(found)
    mean = f"{found.mean:+.3g}" if found.mean else "0"
    return mean if width is None else f"{mean} ± {width:.2g}"


def spread_shown(found: Spread | None, digits: int = 4) -> str:
    """Mean and standard deviation over the seeds, for a table's cell."""
    if found is None:
        return ""
    mean = shown(found.mean, digits)
    return mean if found.deviation is None else f"{mean} ± {shown(found.deviation, 2)}"
