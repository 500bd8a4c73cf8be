"""Molecules and a pack shape, and which packers can take part."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Callable, NamedTuple

from gnnpack.bench.packer_list import LOOPS, PACKERS, Entry, Loop, Molecules, plan_and_epoch
from gnnpack.bench.peak_memory import Job
from gnnpack.packing import PackShape


class Problem(NamedTuple):
    """One table.

    load: makes the molecules; can be pickled. own_sizes: with the packers of their own size,
    which one table of a set of molecules is enough for.
    """

    name: str
    title: str
    load: Callable[[], Molecules]
    shape: PackShape
    own_sizes: bool


def entries_of(problem: Problem) -> list[Entry]:
    """The packers that can keep the problem's limits."""
    return [
        one
        for one in PACKERS
        if (one.knows_pairs or problem.shape.num_pairs is None)
        and (problem.own_sizes or not one.own_size)
    ]


def loops_of(problem: Problem, molecules: Molecules) -> list[tuple[Loop, int]]:
    """The loops that can keep the problem's limits, and how many molecules each gets."""
    found: dict[tuple[str, int], Loop] = {}
    for loop in LOOPS:
        if loop.knows_pairs or problem.shape.num_pairs is None:
            number = min(loop.most_molecules, len(molecules.num_atoms))
            found.setdefault((loop.label, number), loop)
    return [(loop, number) for (_, number), loop in found.items()]


def shape_of(entry: Entry, problem: Problem, molecules: Molecules) -> PackShape:
    """The problem's shape, or that of the largest molecule for a packer of its own size."""
    if not entry.own_size:
        return problem.shape
    pairs = None
    if problem.shape.num_pairs is not None:
        assert molecules.num_pairs is not None, "a pair limit comes with pairs"
        pairs = int(molecules.num_pairs.max())
    return replace(problem.shape, num_atoms=int(molecules.num_atoms.max()), num_pairs=pairs)


def memory_job(problem: Problem, molecules: Molecules) -> Job:
    """What `measure_packers` measures the memory of, in the order of its rows."""
    calls = [
        partial(plan_and_epoch, entry, shape_of(entry, problem, molecules))
        for entry in entries_of(problem)
    ]
    loops = [
        partial(_run_loop, loop, number, problem.shape)
        for loop, number in loops_of(problem, molecules)
    ]
    return Job(problem.load, calls, loops)


def _run_loop(loop: Loop, number: int, shape: PackShape, molecules: Molecules) -> object:
    return loop.batches(molecules.first(number), shape)
