"""The shifted softplus of SchNet, ln(1 + e^x) - ln 2 (arXiv 1706.08566, section 4.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# ln 2 rounded to float32, as PyG has it: in float64 too, equal weights then give equal energies.
LN2 = float(torch.log(torch.tensor(2.0)))


def shifted_softplus(x: Tensor) -> Tensor:
    """softplus(x) - ln 2, which is 0 at 0; any shape."""
    return F.softplus(x).sub_(LN2)
