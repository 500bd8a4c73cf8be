"""Optimizers in the form a CUDA graph can hold, and back."""

from __future__ import annotations

from typing import Any, Mapping

import torch
from torch.optim import Optimizer

# What `fit_for_graphs` may change in a parameter group.
FORM = ("capturable", "fused", "foreach")


def own_form(optimizer: Optimizer) -> list[dict[str, Any]]:
    """The form of each parameter group as the user made it."""
    return [{key: group[key] for key in FORM if key in group} for group in optimizer.param_groups]


def fit_for_graphs(optimizer: Optimizer) -> None:
    """Keep the step count on the device and update all parameters in one kernel, in place.

    Again after each ``load_state_dict``: it brings back the form of who wrote the state.
    """
    for group in optimizer.param_groups:
        if "capturable" in group:
            group["capturable"] = True
        # A choice of the user's own is kept.
        if "fused" in group and not group.get("foreach"):
            group["fused"], group["foreach"] = True, False
    for parameter, state in optimizer.state.items():
        if "step" in state:
            state["step"] = torch.as_tensor(
                state["step"], dtype=torch.float32, device=parameter.device
            )


def portable_state(state: Mapping[str, Any], form: list[dict[str, Any]]) -> dict[str, Any]:
    """A state dict with the groups' own form again, so that any device can go on with it."""
    groups = [{**group, **own} for group, own in zip(state["param_groups"], form)]
    return {**state, "param_groups": groups}
