"""All packers on one set of molecules and one pack shape: a table of the report."""

from __future__ import annotations

from typing import Callable, NamedTuple, Sequence

from gnnpack.bench.packer_list import Entry, Loop, Molecules, plan_of_loop
from gnnpack.bench.packer_problem import Problem, entries_of, loops_of, shape_of
from gnnpack.bench.section import Row, Section
from gnnpack.bench.timing import Timing, spread, time_in_turns
from gnnpack.packing import PackPlan, PackShape
from gnnpack.packing.checks import histogram
from gnnpack.packing.optimal import fewest_packs

COLUMNS = (
    *("packs", "bound", "over_bound", "percent", "pair_percent"),
    *("plan_ns_per_molecule", "first_epoch", "later_epoch", "later_ns_per_molecule"),
    *("peak_MB", "size_correlation", "most_molecules"),
)
# Too many for the console.
WIDE = (
    *("p10-p90", "bound", "plan_ns_per_molecule", "first_epoch", "later_ns_per_molecule"),
    *("size_correlation", "most_molecules"),
)
# Calls on more molecules than this last so long that three repeats agree.
LARGE = 2_000_000


class _Contender(NamedTuple):
    """One row: its calls by the column that their time goes to, and its plan."""

    label: str
    calls: dict[str, Callable[[], object]]
    plan: PackPlan


def measure_packers(
    problem: Problem,
    molecules: Molecules,
    repeats: int,
    seed: int,
    peaks: Sequence[int] | None,
    note: str = "",
) -> Section:
    """Plan the molecules with every packer, and time the plan, a first and a later epoch.

    Args:
        repeats: of each call; at most 3 where there are more than `LARGE` molecules.
        peaks: bytes, from the calls of `memory_job`; None = not measured.
        note: what is to be said of the molecules.
    """
    contenders = [
        _packer(entry, molecules, shape_of(entry, problem, molecules), seed)
        for entry in entries_of(problem)
    ]
    contenders += [
        _loop(loop, molecules.first(number), problem.shape)
        for loop, number in loops_of(problem, molecules)
    ]
    if len(molecules.num_atoms) > LARGE:
        repeats = min(repeats, 3)
    calls = {f"{one.label}: {what}": call for one in contenders for what, call in one.calls.items()}
    # One warm-up: each packer has made its plan already.
    timed = time_in_turns(calls, repeats, warm_ups=1)
    rows = []
    for place, one in enumerate(contenders):
        timings = {what: timed[f"{one.label}: {what}"] for what in one.calls}
        rows.append(_row(one, timings, None if peaks is None else peaks[place] / 1e6))
    return Section(problem.name, problem.title, note, rows, COLUMNS, WIDE)


def best_bound(plan: PackPlan) -> int:
    """The best proven bound on packs of this many atoms and pairs, whoever proved it."""
    sizes, counts = histogram(plan.num_atoms)
    # The plan's limit on molecules is only how many came to lie in a pack.
    _, (packs, _) = fewest_packs(sizes, counts, PackShape(plan.atom_capacity))
    return max(packs, plan.lower_bound)


def _packer(entry: Entry, molecules: Molecules, shape: PackShape, seed: int) -> _Contender:
    plan = entry.plan(molecules, shape)
    plan.validate()
    calls: dict[str, Callable[[], object]] = {
        "plan": lambda: entry.plan(molecules, shape),
        "first_epoch": lambda: entry.plan(molecules, shape).epoch(seed, 0),
        "later_epoch": lambda: plan.epoch(seed, 1),
    }
    label = f"{entry.label}@{shape.num_atoms}" if entry.own_size else entry.label
    return _Contender(label, calls, plan)


def _loop(loop: Loop, molecules: Molecules, shape: PackShape) -> _Contender:
    label = f"{loop.label}, {len(molecules.num_atoms):,}"
    calls: dict[str, Callable[[], object]] = {"plan": lambda: loop.batches(molecules, shape)}
    return _Contender(label, calls, plan_of_loop(loop, molecules, shape))


def _row(one: _Contender, timings: dict[str, Timing], peak: float | None) -> Row:
    plan, first = one.plan, timings["plan"]
    # A loop does all its work again in every epoch.
    later = timings.get("later_epoch", first)
    start = timings.get("first_epoch", first)
    bound = best_bound(plan)
    pair_efficiency = plan.pair_efficiency
    nanoseconds = 1e9 / plan.num_molecules
    return Row(
        name=one.label,
        label=one.label,
        repeats=len(first.seconds),
        calls_per_repeat=first.calls_per_repeat,
        seconds=spread(first.seconds),
        molecules_per_second=None,
        times_baseline=None,
        facts={
            "molecules": plan.num_molecules,
            "packs": plan.num_packs,
            "bound": bound,
            "over_bound": plan.num_packs - bound,
            "percent": 100 * plan.atom_efficiency,
            "pair_percent": None if pair_efficiency is None else 100 * pair_efficiency,
            "plan_ns_per_molecule": spread(first.seconds).median * nanoseconds,
            "first_epoch": spread(start.seconds)._asdict(),
            "later_epoch": spread(later.seconds)._asdict(),
            "later_ns_per_molecule": spread(later.seconds).median * nanoseconds,
            "peak_MB": peak,
            "size_correlation": plan.size_correlation,
            "most_molecules": int(plan.molecules_per_pack.max()),
            "redraws": plan.redraws,
        },
    )
