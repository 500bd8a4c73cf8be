"""SchNetPack's side of the comparison; the only file of the room that imports it."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Mapping, TypeVar

import torch
from torch import Tensor, nn

from gnnpack.bench.beside_pyg import Edges
from gnnpack.models import SchNet

ABSENT = "SchNetPack is not installed, so it has no rows; docs/benchmarks.md says how to add it."


class SchNetPackEnergy(nn.Module):
    """SchNetPack's ``SchNet`` and ``Atomwise`` with a scale and a mean added to each atom.

    Its own ``AddOffsets`` and ``ScaleProperty`` scale molecules, our readout scales atoms.
    """

    def __init__(self, representation: nn.Module, atomwise: nn.Module, readout: Any) -> None:
        super().__init__()
        self.representation, self.atomwise, self.readout = representation, atomwise, readout

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Energies of the molecules, (n,), in the readout's unit."""
        found: dict[str, Tensor] = self.atomwise(self.representation(dict(inputs)))
        atoms = inputs["_n_atoms"] if self.readout.kind == "sum" else 1
        energies: Tensor = found["energy"] * self.readout.std + self.readout.mean * atoms
        return energies


def schnetpack_absence() -> str | None:
    """Why SchNetPack has no rows; None where it can be imported."""
    if find_spec("schnetpack") is None:
        return ABSENT
    try:
        _import()
    except ImportError as error:
        return f"SchNetPack is installed but cannot be imported ({error}), so it has no rows."
    return None


def schnetpack_schnet(ours: SchNet) -> SchNetPackEnergy:
    """SchNetPack's SchNet with our weights."""
    spk = _import()
    first: Any = ours.interactions[0]
    channels, filters = ours.embedding.embedding_dim, first.before.out_features
    representation = spk.representation.SchNet(
        n_atom_basis=channels,
        n_interactions=len(ours.interactions),
        radial_basis=spk.nn.GaussianRBF(n_rbf=len(ours.gaussians.centres), cutoff=ours.cutoff),
        cutoff_fn=spk.nn.CosineCutoff(ours.cutoff),
        n_filters=filters,
        nuclear_embedding=nn.Embedding(ours.embedding.num_embeddings, channels),
    )
    atomwise = spk.atomistic.Atomwise(
        n_in=channels,
        n_hidden=channels // 2,
        activation=spk.nn.activations.shifted_softplus,
        aggregation_mode={"sum": "sum", "mean": "avg"}[ours.readout.kind],
        output_key="energy",
    )
    energy = SchNetPackEnergy(representation, atomwise, ours.readout)
    state, renamed = ours.state_dict(), energy.state_dict()
    for name, tensor in _names(len(ours.interactions)).items():
        renamed[tensor] = state[name]
    energy.load_state_dict(renamed)
    return energy


def schnetpack_inputs(z: Tensor, batch: Tensor, edges: Edges, vectors: Tensor) -> dict[str, Tensor]:
    """The inputs of its network.

    Args:
        z, batch: (A,), atomic numbers and molecules of the atoms.
        vectors: (E, 3) Å, from target to source of each edge.
    """
    return {
        "_atomic_numbers": z,
        "_n_atoms": torch.bincount(batch),
        "_idx_m": batch,
        "_Rij": vectors,
        "_idx_i": edges.edge_index[1],
        "_idx_j": edges.edge_index[0],
    }


def _import() -> Any:
    from torch.utils.data import dataloader

    # Version 2.1 takes this name from torch, where 2.13 has it no longer.
    if not hasattr(dataloader, "T_co"):
        dataloader.T_co = TypeVar("T_co", covariant=True)  # type: ignore[attr-defined]
    # By name: optional, slow to import, and unknown to the type checker where it is absent.
    return import_module("schnetpack")


def _names(num_interactions: int) -> dict[str, str]:
    """Our parameter names -> those of `SchNetPackEnergy`."""
    modules = {"output.0": "atomwise.outnet.0", "output.2": "atomwise.outnet.1"}
    names = {"embedding.weight": "representation.embedding.weight"}
    for k in range(num_interactions):
        ours, theirs = f"interactions.{k}", f"representation.interactions.{k}"
        names[f"{ours}.before.weight"] = f"{theirs}.in2f.weight"
        pairs = {"filter_network": "filter_network", "after": "f2out"}
        for our, their in pairs.items():
            modules[f"{ours}.{our}.0"] = f"{theirs}.{their}.0"
            modules[f"{ours}.{our}.2"] = f"{theirs}.{their}.1"
    for our, their in modules.items():
        for kind in ("weight", "bias"):
            names[f"{our}.{kind}"] = f"{their}.{kind}"
    return names
