"""Weights of PyTorch Geometric's ``SchNet`` to ours and back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gnnpack.models.readout import Readout
from gnnpack.models.schnet import SchNet


def schnet_from_pyg(theirs: Any, **options: Any) -> SchNet:
    """Our `SchNet` with the weights of a ``torch_geometric.nn.SchNet``.

    Args:
        options: further arguments of ours, e.g. ``neighbours``.

    Raises:
        ValueError: the model does what ours does not (dipole, own reference energies, scale).
    """
    for name in ("dipole", "atomref", "scale"):
        if getattr(theirs, name, None) not in (None, False):
            raise ValueError(
                f"This PyG SchNet has {name} set, which is not part of the network here. Build it "
                "without; reference energies belong to the data set (docs/conventions.md)."
            )
    kind = {"SumAggregation": "sum", "MeanAggregation": "mean"}[type(theirs.readout).__name__]
    mean = 0.0 if theirs.mean is None else float(theirs.mean)
    std = 1.0 if theirs.std is None else float(theirs.std)
    ours = SchNet(
        hidden_channels=theirs.hidden_channels,
        num_interactions=theirs.num_interactions,
        num_gaussians=theirs.num_gaussians,
        cutoff=theirs.cutoff,
        num_filters=theirs.num_filters,
        num_elements=theirs.embedding.num_embeddings,
        readout=Readout(kind, mean, std),
        **options,
    ).to(theirs.embedding.weight.dtype)
    state = theirs.state_dict()
    renamed = {our: state[pyg] for our, pyg in _names(len(ours.interactions)).items()}
    ours.load_state_dict({**ours.state_dict(), **renamed})
    return ours


def schnet_to_pyg(ours: SchNet) -> Any:
    """A ``torch_geometric.nn.SchNet`` with the weights of our `SchNet`.

    Its ``max_num_neighbors`` is raised so that PyG does not cut neighbours off either.
    """
    from torch_geometric.nn import SchNet as PyGSchNet  # optional: only converting needs it

    first: Any = ours.interactions[0]
    theirs = PyGSchNet(
        hidden_channels=ours.embedding.embedding_dim,
        num_filters=first.before.out_features,
        num_interactions=len(ours.interactions),
        num_gaussians=len(ours.gaussians.centres),
        cutoff=ours.cutoff,
        max_num_neighbors=1_000,
        readout={"sum": "add", "mean": "mean"}[ours.readout.kind],
        mean=float(ours.readout.mean),
        std=float(ours.readout.std),
    ).to(ours.embedding.weight.dtype)
    if ours.embedding.num_embeddings != theirs.embedding.num_embeddings:
        raise ValueError(
            f"model.num_elements is {ours.embedding.num_embeddings}; PyG's SchNet has "
            f"{theirs.embedding.num_embeddings} embeddings. Only equal numbers convert."
        )
    state = ours.state_dict()
    names = _names(len(ours.interactions))
    renamed: dict[str, Tensor] = {pyg: state[our] for our, pyg in names.items()}
    with torch.no_grad():
        theirs.load_state_dict({**theirs.state_dict(), **renamed})
    return theirs


def _names(num_interactions: int) -> dict[str, str]:
    """Our parameter names -> PyG's."""
    names = {"embedding.weight": "embedding.weight"}
    for k in range(num_interactions):
        block = f"interactions.{k}"
        modules = {
            "filter_network.0": "mlp.0",
            "filter_network.2": "mlp.2",
            "after.0": "conv.lin2",
            "after.2": "lin",
        }
        for our, pyg in modules.items():
            for kind in ("weight", "bias"):
                names[f"{block}.{our}.{kind}"] = f"{block}.{pyg}.{kind}"
        names[f"{block}.before.weight"] = f"{block}.conv.lin1.weight"
    for our, pyg in {"output.0": "lin1", "output.2": "lin2"}.items():
        for kind in ("weight", "bias"):
            names[f"{our}.{kind}"] = f"{pyg}.{kind}"
    return names
