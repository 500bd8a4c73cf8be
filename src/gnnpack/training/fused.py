"""One compiled loop over all parameters of an update on a CPU, instead of a dozen a parameter."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim import Optimizer


def fuse_on_cpu(optimizer: Optimizer) -> None:
    """Choose torch's fused update where all parameters are on a CPU and torch has one for it.

    torch itself chooses it on no device. A choice of the user's own (``fused``, ``foreach``) stays.
    """
    groups = optimizer.param_groups
    undecided = all(
        "fused" in group and group["fused"] is None and not group.get("foreach") for group in groups
    )
    on_cpu = all(p.device.type == "cpu" for group in groups for p in group["params"])
    if undecided and on_cpu and _torch_has_it(type(optimizer)):
        for group in groups:
            group["fused"], group["foreach"] = True, False


def _torch_has_it(kind: type[Optimizer]) -> bool:
    try:
        kind([nn.Parameter(torch.zeros(1))], lr=1e-3, fused=True)  # type: ignore[call-arg]
    except (RuntimeError, TypeError, ValueError):
        return False  # torch before 2.4, for CUDA alone
    return True
