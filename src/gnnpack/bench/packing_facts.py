"""The figures of packing that follow from size counts alone, a dictionary a row."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from gnnpack.bench.packing_published import PublishedPoint, used_size
from gnnpack.datasets.size_counts import size_counts
from gnnpack.packing import PackShape, advise
from gnnpack.packing.lpfhp import lpfhp_patterns
from gnnpack.packing.optimal import fewest_packs
from gnnpack.packing.patterns import num_packs


def size_facts(name: str) -> dict[str, Any]:
    """Molecules, atoms and the histogram of a distribution."""
    sizes, counts = size_counts(name)
    return {
        "molecules": int(counts.sum()),
        "atoms": int(sizes @ counts),
        "smallest": int(sizes[0]),
        "mean_atoms": float(sizes @ counts / counts.sum()),
        "largest": int(sizes[-1]),
        "unit": int(np.gcd.reduce(sizes)),
        "sizes": sizes.tolist(),
        "counts": counts.tolist(),
    }


def _packs(name: str, num_atoms: int) -> tuple[int, int, int]:
    """Packs of LPFHP and of optimal, and the proven bound."""
    sizes, counts = size_counts(name)
    shape = PackShape(num_atoms)
    fewest, (bound, _) = fewest_packs(sizes, counts, shape)
    return num_packs(lpfhp_patterns(sizes, counts, shape)), num_packs(fewest), bound


def point_facts(name: str, point: PublishedPoint) -> dict[str, Any]:
    """Our packs at a published pack size beside the published ones."""
    num_atoms = point.num_atoms
    lpfhp, fewest, bound = _packs(name, num_atoms)
    sizes, counts = size_counts(name)
    atoms = int(sizes @ counts)
    return {
        "published_packs": point.packs,
        "lpfhp_packs": lpfhp,
        "lpfhp_percent": 100 * atoms / (lpfhp * num_atoms),
        "optimal_packs": fewest,
        "optimal_percent": 100 * atoms / (fewest * num_atoms),
        "bound": bound,
    }


def curve_facts(name: str, sweep_to: int) -> dict[str, Any]:
    """Packs of every size from the largest molecule to `sweep_to` atoms, and the best of them."""
    sizes, counts = size_counts(name)
    atoms = int(sizes @ counts)
    swept = np.arange(int(sizes[-1]), sweep_to + 1)
    lpfhp, fewest, bounds = np.array([_packs(name, size) for size in swept.tolist()]).T
    assert (bounds <= fewest).all(), "a plan with fewer packs than are needed"
    assert (fewest <= lpfhp).all(), "optimal begins with LPFHP's packs"
    filled = {"lpfhp": 100 * atoms / (lpfhp * swept), "optimal": 100 * atoms / (fewest * swept)}
    best = {way: int(percent.argmax()) for way, percent in filled.items()}
    return {
        "pack_sizes": int(swept.size),
        "lpfhp_best_size": int(swept[best["lpfhp"]]),
        "lpfhp_best_percent": float(filled["lpfhp"].max()),
        "optimal_best_size": int(swept[best["optimal"]]),
        "optimal_best_percent": float(filled["optimal"].max()),
        "largest_gain_percent": float((filled["optimal"] - filled["lpfhp"]).max()),
        "at_bound": int((fewest == bounds).sum()),
        "num_atoms": swept.tolist(),
        "lpfhp_packs": lpfhp.tolist(),
        "optimal_packs": fewest.tolist(),
        "bounds": bounds.tolist(),
    }


def _padded(name: str) -> tuple[int, int]:
    sizes, counts = size_counts(name)
    return int(sizes[-1]), int(counts.sum())


def _used(name: str) -> tuple[int, int]:
    return used_size(name), _packs(name, used_size(name))[0]


def _recommended(name: str) -> tuple[int, int]:
    row = advise(*size_counts(name)).recommended
    return row.num_atoms, row.packs


# What to do with molecules of unlike sizes -> (atoms of a pack, packs) of a distribution.
WAYS: dict[str, Callable[[str], tuple[int, int]]] = {
    "padding": _padded,
    "lpfhp": _used,
    "optimal": _recommended,
}


def slot_facts(name: str, count: Callable[[str], tuple[int, int]]) -> dict[str, Any]:
    """Real and filler slots of an epoch; count: distribution -> (atoms of a pack, packs)."""
    num_atoms, packs = count(name)
    sizes, counts = size_counts(name)
    atoms, slots = int(sizes @ counts), num_atoms * packs
    return {
        "num_atoms": num_atoms,
        "packs": packs,
        "slots": slots,
        "filler_slots": slots - atoms,
        "filler_percent": 100 * (slots - atoms) / slots,
        "slots_per_atom": slots / atoms,
    }
