"""Weights of another run as the ones to begin with, by name."""

from __future__ import annotations

from typing import Iterable, Mapping, NamedTuple

import torch
from torch import Tensor, nn

READOUT = "readout"
"""Mean and deviation of the training targets: those of the present data, never of others."""


class Taken(NamedTuple):
    """Names of tensors: what came of the weights that were offered."""

    taken: list[str]
    new: list[str]  # of the model; nothing was offered for them, or it was to be passed over
    left: list[str]  # offered, but of a part the model does not have, or passed over


def take_weights(
    model: nn.Module, weights: Mapping[str, Tensor], *, but: Iterable[nn.Module] = ()
) -> Taken:
    """Copy ``weights`` into the model's tensors of the same names, in the model's precision.

    A part (what the model holds directly: its embedding, its list of blocks, its output) is taken
    whole or not at all: half of one is a network that nobody trained.

    Args:
        weights: a state of a model; `READOUT` is passed over.
        but: parts that begin anew.

    Raises:
        ValueError: a part is there on both sides and has other tensors or shapes, or nothing fits.
    """
    passed = tuple(but)
    skipped = {name for name, part in model.named_children() if part in passed}
    own = {n: t for n, t in model.state_dict(keep_vars=True).items() if _part(n) != READOUT}
    offered = {n: t for n, t in weights.items() if _part(n) != READOUT}
    common = {_part(name) for name in own} & {_part(name) for name in offered} - skipped
    _refuse_other(_of(own, common), _of(offered, common))
    taken = list(_of(own, common))
    if not taken:
        raise ValueError(
            f"none of {len(offered)} has a name that {type(model).__name__} knows: "
            f"it has {_listed(offered)}, the model {_listed(own)}"
        )
    with torch.no_grad():
        for name in taken:
            own[name].copy_(offered[name])
    return Taken(
        taken, [name for name in own if name not in taken], [n for n in offered if n not in taken]
    )


def _refuse_other(own: Mapping[str, Tensor], offered: Mapping[str, Tensor]) -> None:
    wrong = []
    missing = [name for name in own if name not in offered]
    unexpected = [name for name in offered if name not in own]
    shapes = [
        f"{name} {tuple(offered[name].shape)} for {tuple(own[name].shape)}"
        for name in own
        if name in offered and own[name].shape != offered[name].shape
    ]
    if missing:
        wrong.append(f"missing are {_listed(missing)}")
    if unexpected:
        wrong.append(f"unexpected are {_listed(unexpected)}")
    if shapes:
        wrong.append(f"of another shape are {_listed(shapes)}")
    if wrong:
        raise ValueError("; ".join(wrong))


def _part(name: str) -> str:
    return name.split(".", 1)[0]


def _of(tensors: Mapping[str, Tensor], parts: set[str]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if _part(name) in parts}


def _listed(names: Iterable[str], most: int = 6) -> str:
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more
