"""Compiled loops of the CPU kernels; import only where numba is present.

Parallel over packs: a pack's pairs touch only that pack's atoms, so no two threads write the same
place, and within a pack the order is fixed: results do not depend on the number of threads.
``contract`` alone is allowed of fast-math: it fuses multiply and add, and keeps NaN and infinity.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange


@njit(inline="always", cache=True)
def _square_distance(one, other):  # type: ignore[no-untyped-def]
    x, y, z = one[0] - other[0], one[1] - other[1], one[2] - other[2]
    return x * x + y * y + z * z


@njit(parallel=True, cache=True)
def count_pairs(pos, molecule_slot, atom_mask, limit, counts):  # type: ignore[no-untyped-def]
    """Pairs of each pack closer than sqrt(limit), into counts (P,)."""
    num_packs, num_slots = molecule_slot.shape
    for p in prange(num_packs):
        found = 0
        for i in range(num_slots):
            if not atom_mask[p, i]:
                continue
            for j in range(i + 1, num_slots):
                if molecule_slot[p, j] != molecule_slot[p, i] or not atom_mask[p, j]:
                    break
                if _square_distance(pos[p, i], pos[p, j]) < limit:
                    found += 1
        counts[p] = found


@njit(parallel=True, cache=True)
def fill_pairs(  # type: ignore[no-untyped-def]
    pos, molecule_slot, atom_mask, limit, offsets, first, second
):
    """Write the pairs of pack p to first, second (E,) from offsets[p] on, in slot order."""
    num_packs, num_slots = molecule_slot.shape
    for p in prange(num_packs):
        e = offsets[p]
        for i in range(num_slots):
            if not atom_mask[p, i]:
                continue
            for j in range(i + 1, num_slots):
                if molecule_slot[p, j] != molecule_slot[p, i] or not atom_mask[p, j]:
                    break
                if _square_distance(pos[p, i], pos[p, j]) < limit:
                    first[e] = np.int32(p * num_slots + i)
                    second[e] = np.int32(p * num_slots + j)
                    e += 1


@njit(parallel=True, cache=True, fastmath={"contract"})
def convolve(features, filters, envelope, first, second, offsets, out):  # type: ignore[no-untyped-def]
    """out[i] += features[j] * filters[e] * envelope[e], both ways of each pair; out starts at 0."""
    num_channels = features.shape[1]
    for p in prange(len(offsets) - 1):
        for e in range(offsets[p], offsets[p + 1]):
            i, j, scale = first[e], second[e], envelope[e]
            for f in range(num_channels):
                w = filters[e, f] * scale
                out[i, f] += features[j, f] * w
                out[j, f] += features[i, f] * w


@njit(parallel=True, cache=True, fastmath={"contract"})
def convolve_backward(  # type: ignore[no-untyped-def]
    features, filters, envelope, first, second, offsets, grad, grad_features, grad_filters
):
    """Gradients of `convolve`; the operator is its own transpose in the features."""
    num_channels = features.shape[1]
    for p in prange(len(offsets) - 1):
        for e in range(offsets[p], offsets[p + 1]):
            i, j, scale = first[e], second[e], envelope[e]
            for f in range(num_channels):
                w = filters[e, f] * scale
                grad_i, grad_j = grad[i, f], grad[j, f]
                grad_features[j, f] += grad_i * w
                grad_features[i, f] += grad_j * w
                grad_filters[e, f] = scale * (features[j, f] * grad_i + features[i, f] * grad_j)
