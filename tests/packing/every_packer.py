"""The packers every contract test runs over, and inputs for them."""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from gnnpack.packing import (
    PackShape,
    best_fit_decreasing,
    first_fit_decreasing,
    lpfhp,
    next_fit,
    one_per_pack,
    optimal,
    random_exact,
    spfhp,
    streaming,
    tuple_packing,
)

ATOM_PACKERS = [best_fit_decreasing, first_fit_decreasing, lpfhp, spfhp]
STREAMING_PACKERS = [streaming, partial(streaming, buffer=5)]
PAIR_PACKERS = [
    optimal,
    random_exact,
    tuple_packing,
    one_per_pack,
    *STREAMING_PACKERS,
    next_fit,
    partial(next_fit, shuffle=True),
]
PACKERS = ATOM_PACKERS + PAIR_PACKERS

# No deadline: the first example may compile a kernel.
quick = settings(deadline=None, derandomize=True, database=None, max_examples=60)


@st.composite
def instances(draw, max_molecules=40, largest=30):
    """(num_atoms, num_pairs, PackShape) of which every molecule fits."""
    sizes = st.lists(st.integers(1, largest), min_size=1, max_size=max_molecules)
    num_atoms = np.array(draw(sizes), dtype=draw(st.sampled_from([np.int32, np.int64, np.uint8])))
    pairs = st.lists(st.integers(0, 99), min_size=num_atoms.size, max_size=num_atoms.size)
    num_pairs = np.array(draw(pairs), dtype=np.int32)
    shape = PackShape(
        num_atoms=int(num_atoms.max()) + draw(st.integers(0, 2 * largest)),
        num_pairs=draw(st.one_of(st.none(), st.integers(max(1, int(num_pairs.max())), 250))),
        num_molecules=draw(st.one_of(st.none(), st.integers(1, 6))),
    )
    return num_atoms, num_pairs, shape


def make_plan(packer, instance, seed=0):
    """The packer's plan; the pair limit is left out for a packer that knows atoms only."""
    num_atoms, num_pairs, shape = instance
    if packer in ATOM_PACKERS:
        shape = PackShape(shape.num_atoms, None, shape.num_molecules)
    return packer(num_atoms, shape, num_pairs=num_pairs, seed=seed)


def packs(plan):
    """The molecules of every pack, as tuples in the order of the plan."""
    return [tuple(part.tolist()) for part in np.split(plan.molecules, plan.offsets[1:-1])]


def without_numba(patch):
    """Let the packing room find no numba, with a pytest.MonkeyPatch."""
    for name, module in list(sys.modules.items()):
        if name.startswith("gnnpack.packing.") and hasattr(module, "compiled"):
            patch.setattr(module, "compiled", lambda kernel: None)
