"""An `Advice` in sentences."""

from __future__ import annotations

from typing import Iterable

from gnnpack.packing.advice import (
    LEAST_PACKS_PER_UPDATE,
    TOLERANCE,
    Advice,
    ShapeRow,
    eligible_rows,
)

# A gain in fill that is worth a larger pack's name in a sentence.
_WORTH_SAYING = 0.001


def sentences(advice: Advice, num_atoms: Iterable[int] = ()) -> list[str]:
    """What is recommended, by what rule, what the pack sizes `num_atoms` can reach, what is wasted.

    num_atoms: sizes among the rows of `advice`.
    """
    best = advice.recommended
    said = [_recommendation(advice), rule(advice)]
    by_size = {row.num_atoms: row for row in advice.rows}
    said += [_reach(by_size[size], advice) for size in num_atoms if size != best.num_atoms]
    if advice.packer not in ("optimal", "one_per_pack"):
        said += _better_packer(advice)
    if advice.divisor > 1:
        said.append(_divisor(advice))
    return said


def rule(advice: Advice) -> str:
    """How the recommended size was chosen."""
    return (
        f"The rule: the smallest size whose {advice.cost_name} over all packs are within "
        f"{100 * TOLERANCE:g} % of the least, up to twice the largest molecule ({advice.largest:,} "
        f"atoms), and above while an update of {advice.batch_size} molecules has "
        f"{LEAST_PACKS_PER_UPDATE} packs or more. A last pack that must stay part empty is not "
        "held against a size."
    )


def percent(share: float) -> str:
    """Three digits behind the point; up to five where fewer would call a part full.

    >>> percent(0.98646), percent(0.9999996), percent(0.9999999999), percent(1.0)
    ('98.646 %', '99.99996 %', '99.99999 %', '100 %')
    """
    if share >= 1:
        return "100 %"
    for digits in (3, 4, 5):
        text = f"{100 * share:.{digits}f}"
        if not text.startswith("100"):
            return f"{text} %"
    return "99.99999 %"


def _recommendation(advice: Advice) -> str:
    row = advice.recommended
    proof = "; no packer can use fewer" if row.proven_optimal else ""
    return (
        f"Recommended for {advice.packer}: {row.num_atoms:,} atoms, {row.packs:,} packs, "
        f"{percent(row.atom_efficiency)} filled{proof}."
    )


def _reach(row: ShapeRow, advice: Advice) -> str:
    best = advice.recommended
    reached, possible = percent(row.atom_efficiency), percent(row.possible_efficiency)
    if row.proven_optimal and advice.packer == "optimal":
        said = f"{row.num_atoms:,} atoms: {reached} is the best possible"
    elif row.proven_optimal:
        said = f"{row.num_atoms:,} atoms: {advice.packer} fills {reached}, the best possible"
    elif reached == possible:
        more = row.packs - row.lower_bound
        said = f"{row.num_atoms:,} atoms: {reached}, {more:,} over the fewest packs proven"
    else:
        said = (
            f"{row.num_atoms:,} atoms: {advice.packer} fills {reached}, no packer more than "
            f"{possible}"
        )
    if best.atom_efficiency > row.atom_efficiency + TOLERANCE:
        said += f"; {best.num_atoms:,} gives {percent(best.atom_efficiency)}"
    elif row.num_atoms > best.num_atoms:
        said += f"; {best.num_atoms:,} does as well in smaller packs"
    said += "."
    if row.unusable_atoms:
        said += f" {_wasted(row.num_atoms, row.unusable_atoms)}"
    return said


def _wasted(num_atoms: int, unusable: int) -> str:
    return (
        f"It wastes {_slots(unusable)} in every pack ({percent(unusable / num_atoms)}): "
        f"{num_atoms - unusable:,} holds as many molecules."
    )


def _better_packer(advice: Advice) -> list[str]:
    """What the bounds promise at the size they are best for, if another packer may keep it."""
    rows = eligible_rows(advice.rows, advice.largest)
    most = max(row.possible_efficiency for row in rows)
    row = next(row for row in rows if row.possible_efficiency >= most - TOLERANCE)
    if row.possible_efficiency < advice.recommended.atom_efficiency + _WORTH_SAYING:
        return []
    return [
        f"Another packer may fill up to {percent(row.possible_efficiency)} at {row.num_atoms:,} "
        f"atoms, where {advice.packer} fills {percent(row.atom_efficiency)}: see packer=optimal."
    ]


def _divisor(advice: Advice) -> str:
    # People like powers of two. Where these are multiples, the next number is none.
    power = 2 ** (advice.largest - 1).bit_length()
    example = power if power % advice.divisor else advice.largest + 1
    wasted = example % advice.divisor
    return (
        f"Every molecule has a multiple of {advice.divisor} atoms. Pack sizes that are no multiple "
        f"waste what is left over, as {example:,} does {_slots(wasted)} in every pack; they are "
        "not recommended."
    )


def _slots(number: int) -> str:
    return "1 slot" if number == 1 else f"{number} slots"
