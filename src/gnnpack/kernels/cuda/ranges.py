"""What the kernels need to know of a batch's geometry, made once and shared by all blocks."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gnnpack.kernels.cuda.launch import power_of_two, programs

# Bins are sorted as int16, in half the passes of int32.
MOST_KNOTS = 2**15 - 1

# P packs of N slots, A = P * N slots in one row, C pairs a pack has room for, M knots


class MoleculeRanges(NamedTuple):
    """Every slot's molecule as a range of slots, and the pairs sorted by distance bin.

    A molecule's atoms are contiguous, so the range is the whole neighbour structure: slot i's
    neighbours are ``low[i]`` to ``high[i]`` without i, closer than the cutoff. The sorted pairs
    serve the table's gradient alone.
    """

    pos: Tensor  # (A, 3) float32, Å; may ask for a gradient
    low: Tensor  # (A,) int32
    high: Tensor  # (A,) int32; equal to low in filler
    first: Tensor  # (P * C,) int32, slots of pairs closer than the cutoff, sorted by bin
    second: Tensor  # (P * C,) int32
    coordinate: Tensor  # (P * C,) float32, distance over the knots' spacing
    bins: Tensor  # (M + 1,) int32: pairs of bin b are bins[b]:bins[b + 1]; bins[M] of them are real
    cutoff: float  # Å
    num_knots: int
    slots_per_pack: int
    has_pairs: bool


def molecule_ranges(
    pos: Tensor,
    molecule_slot: Tensor,
    atom_mask: Tensor,
    cutoff: float,
    num_knots: int,
    *,
    largest_molecule: int | None = None,
    sort_pairs: bool = True,
) -> MoleculeRanges:
    """Ranges and sorted pairs of a batch; nothing waits for the device.

    Args:
        pos: (P, N, 3) float32, Å.
        molecule_slot: (P, N) int64; equal slots are one molecule, contiguous.
        atom_mask: (P, N) bool, True = real.
        cutoff: Å; no pair is at or beyond it.
        num_knots: M, knots of the filter table over [0, cutoff].
        largest_molecule: atoms of the largest molecule of the data set: room for the pairs. A
            larger one turns the table's gradient to NaN, since nothing here can raise. None = N.
        sort_pairs: False where no gradient of the table is asked for: evaluation.

    Raises:
        ValueError: positions are not float32, or the table has too many knots or too few.
    """
    _check(pos, num_knots)
    num_packs, slots_per_pack = molecule_slot.shape
    low, high = _ranges(molecule_slot, atom_mask)
    flat = pos.reshape(-1, 3).contiguous()
    largest = slots_per_pack if largest_molecule is None else largest_molecule
    # n (n - 1) / 2 pairs of n atoms are (largest - 1) / 2 an atom at most.
    room = -(-slots_per_pack * (max(min(largest, slots_per_pack), 1) - 1) // 2) if sort_pairs else 0
    pairs = _sorted_pairs(flat.detach(), low, high, num_packs, room, cutoff, num_knots)
    return MoleculeRanges(
        flat, low, high, *pairs, float(cutoff), num_knots, slots_per_pack, sort_pairs
    )


def _ranges(molecule_slot: Tensor, atom_mask: Tensor) -> tuple[Tensor, Tensor]:
    from gnnpack.kernels.cuda.range_kernels import find_ranges

    num_packs, slots_per_pack = molecule_slot.shape
    low = torch.empty(molecule_slot.numel(), dtype=torch.int32, device=molecule_slot.device)
    high = torch.empty_like(low)
    # 32 x 128 comparisons at once keep the registers of four warps half full.
    tile, others = 32, min(power_of_two(slots_per_pack), 128)
    find_ranges[(num_packs, programs(slots_per_pack, tile))](
        molecule_slot.contiguous(),
        atom_mask.contiguous(),
        low,
        high,
        SLOTS=slots_per_pack,
        SLOT_TILE=tile,
        OTHER_TILE=others,
    )
    return low, high


def _sorted_pairs(
    pos: Tensor,
    low: Tensor,
    high: Tensor,
    num_packs: int,
    room: int,
    cutoff: float,
    num_knots: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """first, second, coordinate, bins of `MoleculeRanges`."""
    from gnnpack.kernels.cuda.range_kernels import arrange_pairs, write_pairs

    capacity = num_packs * room
    assert capacity < 2**31, "a batch's pairs must be countable in int32"
    slots_per_pack = pos.shape[0] // num_packs
    bins = torch.zeros(num_knots + 1, dtype=torch.int32, device=pos.device)
    first, second = (bins.new_empty(capacity) for _ in range(2))
    coordinate = pos.new_empty(capacity)
    if capacity == 0:
        return first, second, coordinate, bins
    key = torch.empty(capacity, dtype=torch.int16, device=pos.device)
    unsorted = (torch.empty_like(first), torch.empty_like(second), torch.empty_like(coordinate))
    tile = power_of_two(slots_per_pack)
    write_pairs[(num_packs,)](
        pos,
        low,
        high,
        key,
        *unsorted,
        cutoff * cutoff,
        (num_knots - 1) / cutoff,
        SLOTS=slots_per_pack,
        ROOM=room,
        KNOTS=num_knots,
        SLOT_TILE=tile,
        num_warps=max(min(tile // 32, 4), 1),
    )
    # Stable: the order inside a bin, and with it every sum, follows from the batch alone.
    key, order = torch.sort(key, stable=True)
    tile = 256
    arrange_pairs[(programs(capacity + 1, tile),)](
        key, order, *unsorted, first, second, coordinate, bins, capacity, KNOTS=num_knots, TILE=tile
    )
    return first, second, coordinate, bins


def _check(pos: Tensor, num_knots: int) -> None:
    if pos.dtype != torch.float32:
        raise ValueError(
            f"Positions are {pos.dtype}; the CUDA kernels work in float32. Use pos.float(), or the "
            f"plain-torch reference."
        )
    if not 2 <= num_knots <= MOST_KNOTS:
        raise ValueError(
            f"The filter table has {num_knots} knots; the CUDA kernels take 2 to {MOST_KNOTS}."
        )
