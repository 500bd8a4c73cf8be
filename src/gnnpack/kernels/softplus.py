"""The shifted softplus of SchNet, ln(1 + e^x) - ln 2 (arXiv 1706.08566, section 4.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gnnpack.kernels.static_graph import in_static_graph

# ln 2 rounded to float32, as PyG has it: in float64 too, equal weights then give equal energies.
LN2 = float(torch.log(torch.tensor(2.0)))


def shifted_softplus(x: Tensor) -> Tensor:
    """softplus(x) - ln 2, which is 0 at 0; any shape."""
    if in_static_graph():
        return stable_softplus(x) - LN2
    return F.softplus(x).sub_(LN2)


def stable_softplus(x: Tensor) -> Tensor:
    """max(x, 0) + ln(1 + e^-|x|): the form that is faster on IPUs (arXiv 2211.13853); any shape.

    max(x, 0) is written as half of x + |x|, whose slope at 0 is softplus's own, 1/2.
    """
    size = x.abs()
    return 0.5 * (x + size) + torch.log1p(torch.exp(-size))
