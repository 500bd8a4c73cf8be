"""How many real molecules a second one training step gets through, and how near its floor it is."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from gnnpack.batching import PackBatch, PackSource
from gnnpack.bench.batches import whole_batch
from gnnpack.bench.beside_pyg import Edges, PyG, directed_edges, pyg_schnet
from gnnpack.bench.beside_schnetpack import schnetpack_inputs, schnetpack_schnet
from gnnpack.bench.data import Batch, BenchData
from gnnpack.bench.models import count_model_work, make_model, network_of
from gnnpack.bench.plans import at
from gnnpack.bench.roofline import Roof
from gnnpack.bench.section import PYG, Contender, Section, add_facts, measure
from gnnpack.bench.settings import OverviewSettings
from gnnpack.bench.training_step import TrainingStep, check_same_function
from gnnpack.bench.work import FilterRows, Work, count_work
from gnnpack.models import SchNet
from gnnpack.objective import MAE
from gnnpack.packing import PackPlan


class Others(NamedTuple):
    """Which other libraries take part."""

    pyg: PyG | None
    schnetpack: bool


class Way(NamedTuple):
    """One way to make the update, and the work it is worth."""

    step: TrainingStep
    work: Work


def measure_steps(
    data: BenchData, batch: Batch, others: Others, roof: Roof, settings: OverviewSettings
) -> Section:
    """Train the same weights on the same molecules in each way.

    ValueError, before anything is timed, when the ways disagree on the energies.
    """
    edges = directed_edges(whole_batch(batch.source, batch.padded), settings.cutoff)
    ways = our_ways(data, batch, edges, settings)
    if others.pyg is not None:
        ways[PYG] = _pyg_way(data, batch.source, others.pyg, edges, settings)
    if others.schnetpack:
        ways["schnetpack"] = _schnetpack_way(data, batch, edges, settings)
    with torch.no_grad():
        difference = check_same_function({name: way.step.predict() for name, way in ways.items()})
    n = len(batch.source.rows)
    section = measure(
        f"train_step_{n}",
        f"One training step, batch {n}",
        f"The same {n:,} molecules and weights in every row; SchNet {settings.hidden_channels}/"
        f"{settings.num_interactions}/{settings.num_gaussians}/{settings.cutoff:g} Å, float32, "
        f"{torch.get_num_threads()} threads; energies agree to {difference:.1e} relative. gnnpack "
        "finds neighbours in the step, the others are given edges and distances. Percent of floor: "
        "the matrix products of that row's network at the best rate of such products in this run, "
        f"over its time. Loss in {data.run.unit}.",
        [Contender(name, w.step.label, w.step, n, w.step.facts) for name, w in ways.items()],
        settings.repeats,
        columns=("percent_of_floor", "first_loss", "last_loss"),
        wide=("p10-p90",),
        baseline=PYG,
        # One call a repeat: all rows then make the same number of updates, so losses compare.
        least_seconds=0.0,
    )
    facts = {
        row.name: floor_facts(ways[row.name].work, roof, row.seconds.median) for row in section.rows
    }
    return add_facts(section, facts)


def floor_facts(work: Work, roof: Roof, seconds: float) -> dict[str, Any]:
    """What the work is, and how much of ``seconds`` it would have to take."""
    return {
        "percent_of_floor": roof.percent_of_floor(work, seconds),
        "floor_seconds": roof.floor_seconds(work),
        "copy_seconds": work.bytes / roof.bytes_per_second,
        "work": work._asdict(),
    }


def our_ways(
    data: BenchData, batch: Batch, edges: Edges, settings: OverviewSettings
) -> dict[str, Way]:
    """The rows of this package."""
    source, packed, padded = batch
    pairs = edges.edge_index.shape[1] // 2
    ways = {}
    for name, label, plan, options in (
        ("packed", "gnnpack, tabulated", packed, {"filter": "tabulated"}),
        ("padded", "gnnpack, tabulated", padded, {"filter": "tabulated"}),
        ("exact", "gnnpack, exact", packed, {"filter": "exact"}),
        ("plain", "plain torch, exact", packed, {"filter": "exact", "compiled": False}),
    ):
        model = make_model(data, settings, **options)
        step = _our_step(f"{label}, {at(plan)}", model, source, plan, settings.lr)
        work = count_model_work(model, network_of(settings), int(source.num_atoms.sum()), pairs)
        ways[name] = Way(step, work)
    return ways


def _pyg_way(
    data: BenchData, source: PackSource, pyg: PyG, edges: Edges, settings: OverviewSettings
) -> Way:
    theirs = pyg_schnet(make_model(data, settings), edges)
    batch = pyg.collate(pyg.data_list(source))

    def predict() -> Tensor:
        energies: Tensor = theirs(batch.z, batch.pos, batch.batch)
        return energies[:, 0]

    return _given_edges("PyG SchNet", theirs, predict, source, edges, settings)


def _schnetpack_way(data: BenchData, batch: Batch, edges: Edges, settings: OverviewSettings) -> Way:
    padded = whole_batch(batch.source, batch.padded)
    theirs = schnetpack_schnet(make_model(data, settings))
    z, pos = padded.z[padded.atom_mask], padded.pos[padded.atom_mask]
    sizes = torch.from_numpy(batch.source.num_atoms)
    owner = torch.arange(len(sizes)).repeat_interleave(sizes)
    sources, targets = edges.edge_index
    inputs = schnetpack_inputs(z, owner, edges, pos[sources] - pos[targets])

    def predict() -> Tensor:
        energies: Tensor = theirs(inputs)
        return energies

    return _given_edges("SchNetPack SchNet", theirs, predict, batch.source, edges, settings)


def _given_edges(
    label: str, model: Any, predict: Any, source: PackSource, edges: Edges, settings: Any
) -> Way:
    assert source.target is not None, "a bench knows its targets"
    target = torch.tensor(source.target[source.rows], dtype=torch.float32)

    def loss() -> Tensor:
        value: Tensor = (predict() - target).abs().mean()
        return value

    number = edges.edge_index.shape[1]
    step = TrainingStep(f"{label}, edges given", model, predict, loss, settings.lr, edges=number)
    work = count_work(
        network_of(settings),
        atoms=int(source.num_atoms.sum()),
        pairs=number // 2,
        # Each edge has a filter of its own there, and so has its reverse.
        filters=FilterRows(number),
    )
    return Way(step, work)


def _our_step(
    label: str, model: SchNet, source: PackSource, plan: PackPlan, lr: float
) -> TrainingStep:
    batch: PackBatch = whole_batch(source, plan)
    objective = MAE()

    def predict() -> Tensor:
        energies = torch.empty(plan.num_molecules)
        energies[torch.from_numpy(plan.molecules)] = model(batch)[batch.molecule_mask]
        return energies

    def loss() -> Tensor:
        value: Tensor = objective(model(batch), batch)
        return value

    fill = plan.atom_efficiency
    return TrainingStep(label, model, predict, loss, lr, packs=plan.num_packs, fill=fill)
