"""Which pack size to take: packs, fill and bound of many sizes, and a recommendation."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnpack.packing.advice_sizes import candidate_sizes, check_candidates, check_histogram
from gnnpack.packing.best_fill import PATTERNS_OF, Packer, packer_name, unwrapped
from gnnpack.packing.checks import check_num_atoms, histogram
from gnnpack.packing.one_per_pack import one_per_pack
from gnnpack.packing.optimal import fewest_packs, optimal
from gnnpack.packing.patterns import Pattern, num_packs
from gnnpack.packing.shape import PackShape

# Bytes of a `PackBatch`: z int64, pos 3 float32, molecule_slot int64, atom_mask bool ...
BYTES_OF_ATOM_SLOT = 8 + 12 + 8 + 1
# ... molecule_mask bool, target float32, num_atoms int64; step_molecules int64.
BYTES_OF_MOLECULE_SLOT = 1 + 4 + 8
BYTES_OF_PACK = 8

# The recommended size costs at most this share more than the cheapest.
TOLERANCE = 1e-4
# Below this many packs an update, batch_size is met no closer than to 6 %.
LEAST_PACKS_PER_UPDATE = 8

Cost = Callable[[int, int], float]


class ShapeRow(NamedTuple):
    """A pack size and what becomes of all molecules in it.

    lower_bound: packs that any packer needs, proven; bound_kind says how (see `bounds`, and "lp").
    max_molecules: most molecules in one pack. atom_efficiency: real atoms over atom slots;
    possible_efficiency: no packer fills more. unusable_atoms: slots of every pack that stay empty
    because no sum of molecule sizes reaches them. packs_per_update, batch_bytes: of one update.
    cost: of all packs, a last one that must stay part empty counted in part.
    """

    num_atoms: int
    packs: int
    lower_bound: int
    bound_kind: str
    max_molecules: int
    atom_efficiency: float
    possible_efficiency: float
    unusable_atoms: int
    packs_per_update: int
    batch_bytes: int
    cost: float

    @property
    def proven_optimal(self) -> bool:
        """Whether no packer can use fewer packs of this size."""
        return self.packs == self.lower_bound


class Advice(NamedTuple):
    """Rows by ascending num_atoms, the recommended one, and what was asked.

    divisor: greatest common divisor of all molecule sizes. cost_name: what `cost` counts.
    """

    rows: tuple[ShapeRow, ...]
    recommended: ShapeRow
    packer: str
    num_molecules: int
    total_atoms: int
    largest: int
    divisor: int
    batch_size: int
    cost_name: str


def atom_slots(num_atoms: int, num_molecules: int) -> float:
    """The plain cost of a pack: its atom slots, filled or not."""
    return num_atoms


def pack_bytes(num_atoms: int, num_molecules: int) -> int:
    """Bytes of one pack of a `PackBatch` with these atom and molecule slots.

    >>> pack_bytes(36, 4)
    1104
    """
    slots = num_atoms * BYTES_OF_ATOM_SLOT + num_molecules * BYTES_OF_MOLECULE_SLOT
    return slots + BYTES_OF_PACK


def advise(
    sizes: ArrayLike,
    counts: ArrayLike,
    *,
    packer: Packer = optimal,
    candidates: ArrayLike | None = None,
    batch_size: int = 64,
    cost: Cost = atom_slots,
    cost_name: str = "atom slots",
) -> Advice:
    """Pack the histogram (sizes, counts), both (S,) integers, at many sizes; recommend one.

    The rule: the smallest size whose cost is within 0.01 % of the least. Small packs are preferred
    because batch_size is met more closely and more devices can share an update. So a size above
    twice the largest molecule must also leave 8 packs or more in an update of batch_size
    molecules; and a size that is no multiple of the sizes' common divisor is not recommended. A
    last pack that must stay part empty is not held against a size: it vanishes among many packs.

    packer: one that packs histograms (`can_advise`). candidates: pack sizes; None means
    `candidate_sizes`. cost(num_atoms, num_molecules): of one pack with that many atom and molecule
    slots, for instance its measured seconds. ValueError: see `check_histogram`; a candidate below
    the largest molecule; another packer; a cost that is not above 0.

    >>> advice = advise([2, 3, 5], [30, 30, 50])
    >>> advice.recommended.num_atoms, advice.recommended.atom_efficiency
    (5, 1.0)
    """
    sizes, counts = check_histogram(sizes, counts)
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it counts molecules an update: at least 1")
    if not can_advise(packer):
        raise ValueError(
            f"{packer_name(packer)} packs molecule by molecule, so no pack size can be advised "
            f"for it; choose among {', '.join(map(packer_name, HISTOGRAM_PACKERS))}"
        )
    largest, divisor = int(sizes[-1]), int(np.gcd.reduce(sizes))
    if candidates is None:
        compared = candidate_sizes(sizes, counts)
    else:
        compared = check_candidates(candidates, largest)
    rows = tuple(
        _row(sizes, counts, size, HISTOGRAM_PACKERS[unwrapped(packer)], batch_size, cost)
        for size in compared
    )
    return Advice(
        rows=rows,
        recommended=_recommend(eligible_rows(rows, largest)),
        packer=packer_name(packer),
        num_molecules=int(counts.sum()),
        total_atoms=int(sizes @ counts),
        largest=largest,
        divisor=divisor,
        batch_size=batch_size,
        cost_name=cost_name,
    )


def auto_shape(packer: Packer, num_atoms: ArrayLike, *, batch_size: int = 64) -> PackShape:
    """The shape that `shape=auto` stands for: `advise`'s recommendation for this packer.

    The largest molecule for one_per_pack. A packer that works molecule by molecule gets the size
    recommended for `optimal`. num_atoms: (M,) integers. ValueError: see `check_sizes`, `advise`.

    >>> auto_shape(optimal, [4, 4, 4, 2, 2, 2])
    PackShape(num_atoms=4, num_pairs=None, num_molecules=None)
    """
    sizes, counts = histogram(check_num_atoms(num_atoms))
    counted = packer if can_advise(packer) else optimal
    advice = advise(sizes, counts, packer=counted, batch_size=batch_size)
    return PackShape(advice.recommended.num_atoms)


def can_advise(packer: Packer) -> bool:
    """Whether this packer's packs can be counted from a histogram of sizes."""
    return unwrapped(packer) in HISTOGRAM_PACKERS


def eligible_rows(rows: Sequence[ShapeRow], largest: int) -> Sequence[ShapeRow]:
    """The rows among which `advise` chooses; all where its conditions leave none."""
    eligible = [
        row
        for row in rows
        if row.unusable_atoms == 0
        and (row.num_atoms <= 2 * largest or row.packs_per_update >= LEAST_PACKS_PER_UPDATE)
    ]
    return eligible or rows


def _recommend(eligible: Sequence[ShapeRow]) -> ShapeRow:
    least = min(row.cost for row in eligible)
    return next(row for row in eligible if row.cost <= least * (1 + TOLERANCE))


def _row(
    sizes: NDArray[np.int64],
    counts: NDArray[np.int64],
    num_atoms: int,
    patterns_of: Callable[..., Any],
    batch_size: int,
    cost: Cost,
) -> ShapeRow:
    shape = PackShape(num_atoms)
    patterns, (bound, kind) = fewest_packs(sizes, counts, shape)
    if patterns_of is not PATTERNS_OF[optimal]:
        patterns = patterns_of(sizes, counts, shape)
    packs, total = num_packs(patterns), int(sizes @ counts)
    most = max(len(pattern.sizes) for pattern in patterns)
    # The batching room's rule of how many packs make an update.
    update = max(1, round(batch_size * packs / int(counts.sum())))
    one = float(cost(num_atoms, most + 1))
    if not 0 < one < float("inf"):
        raise ValueError(
            f"cost({num_atoms}, {most + 1}) is {one}; a pack must cost a number above 0"
        )
    as_few_as_volume_allows = packs == -(-total // num_atoms)
    return ShapeRow(
        num_atoms=num_atoms,
        packs=packs,
        lower_bound=bound,
        bound_kind=kind,
        max_molecules=most,
        atom_efficiency=total / (packs * num_atoms),
        possible_efficiency=total / (bound * num_atoms),
        unusable_atoms=num_atoms % int(np.gcd.reduce(sizes)),
        packs_per_update=update,
        batch_bytes=update * pack_bytes(num_atoms, most + 1),
        cost=one * (total / num_atoms if as_few_as_volume_allows else packs),
    )


def _one_per_pack_patterns(
    sizes: NDArray[np.int64], counts: NDArray[np.int64], shape: PackShape
) -> list[Pattern]:
    return [Pattern(count, (size,)) for size, count in zip(sizes.tolist(), counts.tolist())]


HISTOGRAM_PACKERS: dict[Packer, Callable[..., Any]] = {
    **PATTERNS_OF,
    one_per_pack: _one_per_pack_patterns,
}
