"""Who takes part in the benchmark of packers."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnpack.bench.batching_samplers import (
    dynamic_batch_sampler,
    dynamically_batch,
    plan_of_batches,
)
from gnnpack.packing import (
    Packer,
    PackPlan,
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


class Molecules(NamedTuple):
    """Sizes to pack, in an order drawn by seed: (M,) each; num_pairs only under a pair limit."""

    num_atoms: NDArray[np.int64]
    num_pairs: NDArray[np.int64] | None = None

    def first(self, number: int) -> Molecules:
        """The first `number` of them."""
        pairs = None if self.num_pairs is None else self.num_pairs[:number]
        return Molecules(self.num_atoms[:number], pairs)


class Entry(NamedTuple):
    """One row of every table: a packer of ours.

    knows_pairs: keeps shape.num_pairs. own_size: packs of the largest molecule, not of the table.
    """

    label: str
    packer: Packer
    knows_pairs: bool = False
    own_size: bool = False

    def plan(self, molecules: Molecules, shape: PackShape) -> PackPlan:
        """Plan the molecules."""
        return self.packer(molecules.num_atoms, shape, num_pairs=molecules.num_pairs)


class Loop(NamedTuple):
    """One row of every table: another library's loop in Python, on the first molecules only.

    batches: what is timed. Nothing is planned ahead: every epoch costs the whole loop. The row's
    label is this one and the number of molecules.
    """

    label: str
    batches: Callable[[Molecules, PackShape], list[list[int]]]
    most_molecules: int
    knows_pairs: bool = False


def pyg_batches(molecules: Molecules, shape: PackShape) -> list[list[int]]:
    """DynamicBatchSampler(max_num=shape.num_atoms, mode="node", shuffle=True) on these."""
    assert shape.num_atoms is not None, "a bench names its sizes"
    num_atoms = molecules.num_atoms
    # The order is random already; the sampler shuffles anew, so that is part of what it does.
    order = np.random.RandomState(0).permutation(len(num_atoms)).tolist()
    return dynamic_batch_sampler(num_atoms, shape.num_atoms, order)


def jraph_batches(molecules: Molecules, shape: PackShape) -> list[list[int]]:
    """dynamically_batch with as many real nodes and edges as the shape, graphs without limit."""
    assert shape.num_atoms is not None, "a bench names its sizes"
    num_atoms, num_pairs = molecules
    if num_pairs is None or shape.num_pairs is None:
        num_edges, n_edge = np.zeros_like(num_atoms), 0
    else:
        # Every pair is an edge in each direction.
        num_edges, n_edge = 2 * num_pairs, 2 * shape.num_pairs
    n_graph = len(num_atoms) + 1
    return dynamically_batch(
        num_atoms, num_edges, n_node=shape.num_atoms + 1, n_edge=n_edge, n_graph=n_graph
    )


# A packer takes part with one line here.
PACKERS: tuple[Entry, ...] = (
    Entry("one_per_pack", one_per_pack, knows_pairs=True, own_size=True),
    Entry("next_fit", partial(next_fit, shuffle=True), knows_pairs=True),
    Entry("first_fit_decreasing", first_fit_decreasing),
    Entry("best_fit_decreasing", best_fit_decreasing),
    Entry("spfhp", spfhp),
    Entry("lpfhp", lpfhp),
    Entry("tuple_packing", tuple_packing, knows_pairs=True),
    Entry("streaming, buffer 256", partial(streaming, buffer=256), knows_pairs=True),
    Entry("streaming, buffer 2048", partial(streaming, buffer=2048), knows_pairs=True),
    Entry("optimal", optimal, knows_pairs=True),
    Entry("random_exact", random_exact, knows_pairs=True),
)

# Two samples show how the time of PyG's loop grows.
LOOPS: tuple[Loop, ...] = (
    Loop("PyG loop", pyg_batches, 4_000),
    Loop("PyG loop", pyg_batches, 16_000),
    Loop("jraph loop", jraph_batches, 50_000, knows_pairs=True),
)


def plan_and_epoch(entry: Entry, shape: PackShape, molecules: Molecules) -> Any:
    """A plan and one epoch of it, both held: what training needs at once."""
    plan = entry.plan(molecules, shape)
    return plan, plan.epoch(0, 1)


def plan_of_loop(loop: Loop, molecules: Molecules, shape: PackShape) -> PackPlan:
    """The loop's batches as packs, checked."""
    return plan_of_batches(
        loop.batches(molecules, shape),
        molecules.num_atoms,
        shape,
        num_pairs=molecules.num_pairs,
        packer=loop.label,
    )
