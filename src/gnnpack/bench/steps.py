"""How many real molecules a second one training step gets through."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from gnnpack.batching import PackBatch, PackSource
from gnnpack.bench.batches import whole_batch
from gnnpack.bench.beside_pyg import PyG, directed_edges, pyg_schnet
from gnnpack.bench.data import BenchData
from gnnpack.bench.plans import at
from gnnpack.bench.section import PYG, Contender, Section, measure
from gnnpack.bench.settings import OverviewSettings
from gnnpack.bench.training_step import TrainingStep, check_same_function
from gnnpack.models import Readout, SchNet
from gnnpack.objective import MAE
from gnnpack.packing import PackPlan


def measure_steps(
    data: BenchData,
    source: PackSource,
    packed: PackPlan,
    padded: PackPlan,
    pyg: PyG | None,
    settings: OverviewSettings,
) -> Section:
    """Train the same weights on the same molecules in each way.

    ValueError, before anything is timed, when the ways disagree on the energies.
    """
    steps = _steps(data, source, packed, padded, pyg, settings)
    with torch.no_grad():
        difference = check_same_function({name: step.predict() for name, step in steps.items()})
    n = len(source.rows)
    contenders = [Contender(name, step.label, step, n, step.facts) for name, step in steps.items()]
    note = (
        f"The same {n:,} molecules and weights in every row; SchNet {settings.hidden_channels}/"
        f"{settings.num_interactions}/{settings.num_gaussians}/{settings.cutoff:g} Å, float32, "
        f"{torch.get_num_threads()} threads; energies agree to {difference:.1e} relative. gnnpack "
        f"finds neighbours in the step, PyG is given edges and distances. Loss in {data.unit}."
    )
    return measure(
        "train_step",
        "One training step",
        note,
        contenders,
        settings.repeats,
        columns=("first_loss", "last_loss"),
        # One call a repeat: all rows then make the same number of updates, so losses compare.
        least_seconds=0.0,
    )


def _steps(
    data: BenchData,
    source: PackSource,
    packed: PackPlan,
    padded: PackPlan,
    pyg: PyG | None,
    settings: OverviewSettings,
) -> dict[str, TrainingStep]:
    ours = _model(data, settings)
    plain = copy.deepcopy(ours)
    plain.compiled = False
    lr = settings.lr
    steps = {
        "packed": _our_step(f"gnnpack, {at(packed)}", ours, source, packed, lr),
        "padded": _our_step(f"gnnpack, {at(padded)}", copy.deepcopy(ours), source, padded, lr),
        "plain": _our_step(f"plain torch, {at(packed)}", plain, source, packed, lr),
    }
    if pyg is not None:
        edges = directed_edges(whole_batch(source, padded), settings.cutoff)
        theirs = pyg_schnet(ours, edges)
        batch = pyg.collate(pyg.data_list(source))

        def predict() -> Tensor:
            energies: Tensor = theirs(batch.z, batch.pos, batch.batch)
            return energies[:, 0]

        def loss() -> Tensor:
            value: Tensor = (predict() - batch.y).abs().mean()
            return value

        facts = {"edges": edges.edge_index.shape[1]}
        steps[PYG] = TrainingStep("PyG SchNet, edges given", theirs, predict, loss, lr, **facts)
    return steps


def _model(data: BenchData, settings: OverviewSettings) -> SchNet:
    # Forked, so that measuring leaves the caller's random numbers alone.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return SchNet(
            settings.hidden_channels,
            settings.num_interactions,
            settings.num_gaussians,
            settings.cutoff,
            readout=Readout(data.readout, data.mean, data.std),
        )


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
