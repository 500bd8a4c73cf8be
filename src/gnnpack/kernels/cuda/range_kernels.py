# mypy: disable-error-code="no-untyped-def,untyped-decorator"
"""Triton kernels behind `molecule_ranges`; import only where Triton is present."""

from __future__ import annotations

import triton
import triton.language as tl

from gnnpack.kernels.cuda.convolution_kernels import distance_between


@triton.jit
def find_ranges(
    molecule_slot,
    atom_mask,
    low,
    high,
    SLOTS: tl.constexpr,
    SLOT_TILE: tl.constexpr,
    OTHER_TILE: tl.constexpr,
):
    """low, high: the first slot of each slot's molecule and the one after its last."""
    start = tl.program_id(0) * SLOTS
    slot = tl.program_id(1) * SLOT_TILE + tl.arange(0, SLOT_TILE)
    inside = slot < SLOTS
    real = tl.load(atom_mask + start + slot, mask=inside, other=0) != 0
    owner = tl.load(molecule_slot + start + slot, mask=inside, other=-1)
    lowest = tl.full((SLOT_TILE,), SLOTS, tl.int32)
    highest = tl.zeros((SLOT_TILE,), tl.int32)
    for begin in range(0, SLOTS, OTHER_TILE):
        other = begin + tl.arange(0, OTHER_TILE)
        other_inside = other < SLOTS
        other_real = tl.load(atom_mask + start + other, mask=other_inside, other=0) != 0
        other_owner = tl.load(molecule_slot + start + other, mask=other_inside, other=-2)
        same = (owner[:, None] == other_owner[None, :]) & real[:, None] & other_real[None, :]
        lowest = tl.minimum(lowest, tl.min(tl.where(same, other[None, :], SLOTS), axis=1))
        highest = tl.maximum(highest, tl.max(tl.where(same, other[None, :] + 1, 0), axis=1))
    tl.store(low + start + slot, start + tl.where(real, lowest, slot), mask=inside)
    tl.store(high + start + slot, start + tl.where(real, highest, slot), mask=inside)


@triton.jit
def write_pairs(
    pos,
    low,
    high,
    key,
    first,
    second,
    coordinate,
    limit,
    inverse_step,
    SLOTS: tl.constexpr,
    ROOM: tl.constexpr,
    KNOTS: tl.constexpr,
    SLOT_TILE: tl.constexpr,
):
    """Pairs i < j of a pack, in slot order, in its ROOM places; key = bin, KNOTS in the rest.

    A place is a pair of one molecule whether or not it is within the cutoff: so a prefix sum over
    molecule sizes gives every pair its place, without atomics.
    """
    pack = tl.program_id(0)
    local = tl.arange(0, SLOT_TILE)
    inside = local < SLOTS
    slot = pack * SLOTS + local
    end = tl.load(high + slot, mask=inside, other=0)
    partners = tl.where(inside, tl.maximum(end - slot - 1, 0), 0)
    place = tl.cumsum(partners, axis=0) - partners
    origin = pack * ROOM
    for step in range(0, tl.max(partners, axis=0)):
        other = slot + 1 + step
        # More pairs than ROOM must not reach the next pack's places.
        is_pair = (step < partners) & (place + step < ROOM)
        _, _, _, square = distance_between(pos, slot, other, is_pair)
        x = tl.sqrt(square) * inverse_step
        knot = tl.minimum(x.to(tl.int32), KNOTS - 2)
        target = origin + place + step
        tl.store(key + target, tl.where(square < limit, knot, KNOTS), mask=is_pair)
        tl.store(coordinate + target, x, mask=is_pair)
        tl.store(first + target, slot, mask=is_pair)
        tl.store(second + target, other, mask=is_pair)
    total = tl.sum(partners, axis=0)
    for begin in range(total, ROOM, SLOT_TILE):
        tl.store(key + origin + begin + local, KNOTS, mask=begin + local < ROOM)
    if total > ROOM:
        # No room means a wrong largest molecule. NaN is the one message that needs no wait.
        tl.debug_barrier()
        tl.store(key + origin, 0)
        tl.store(coordinate + origin, float("nan"))


@triton.jit
def arrange_pairs(
    key,
    order,
    first,
    second,
    coordinate,
    sorted_first,
    sorted_second,
    sorted_coordinate,
    bins,
    num_pairs,
    KNOTS: tl.constexpr,
    TILE: tl.constexpr,
):
    """Pairs in the order of their sorted keys, and where each bin begins."""
    place = tl.program_id(0) * TILE + tl.arange(0, TILE)
    inside = place < num_pairs
    # A last key after all: it closes the bins that no pair opens.
    this = tl.load(key + place, mask=inside, other=KNOTS).to(tl.int32)
    before = tl.load(key + place - 1, mask=(place > 0) & (place <= num_pairs), other=-1).to(
        tl.int32
    )
    jump = tl.where(place <= num_pairs, this - before, 0)
    for step in range(0, tl.max(jump, axis=0)):
        tl.store(bins + before + 1 + step, place, mask=step < jump)
    owned = inside & (this < KNOTS)
    source = tl.load(order + place, mask=owned, other=0)
    tl.store(sorted_first + place, tl.load(first + source, mask=owned, other=0), mask=owned)
    tl.store(sorted_second + place, tl.load(second + source, mask=owned, other=0), mask=owned)
    x = tl.load(coordinate + source, mask=owned, other=0.0)
    tl.store(sorted_coordinate + place, x, mask=owned)
