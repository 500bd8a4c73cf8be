"""How far tabulated filters are from the networks they stand for, on distances of the data."""

from __future__ import annotations

import logging

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning.utilities import rank_zero_only
from scipy.spatial.distance import pdist
from torch import Tensor, nn

from gnnpack.models import filter_error
from gnnpack.run.data import Data

log = logging.getLogger(__name__)

SAMPLE = 200
"""Molecules whose distances are looked at, spread evenly over the training split."""


@rank_zero_only
def check_filters(model: nn.Module, data: Data, when: str) -> None:
    """Say the largest error of a model's filter tables; warn where it is above what was asked."""
    grid = getattr(model, "grid", None)
    if grid is None:
        return
    distances = sample_distances(data, grid.cutoff)
    error = filter_error(model, distances)
    say = log.info if error <= grid.how.tolerance else log.warning
    say(
        "tables %s knots, %s; %s: largest error %.1e of a filter's root mean square at %s "
        "distances of the data (model.filter.tolerance %.0e)%s",
        grid.num_knots,
        grid.how.order,
        when,
        error,
        f"{len(distances):,}",
        grid.how.tolerance,
        "" if error <= grid.how.tolerance else ": lower the tolerance, or use model.filter=exact",
    )


def sample_distances(data: Data, cutoff: float) -> Tensor:
    """Distances (d,) below the cutoff inside some molecules of the training split, float64, Å."""
    rows = data.split.train
    chosen = rows[np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(np.int64)]
    offsets = data.store.offsets
    found: list[NDArray[np.float64]] = [
        pdist(data.store.pos[offsets[row] : offsets[row + 1]].astype(np.float64)) for row in chosen
    ]
    distances = np.concatenate(found) if found else np.empty(0)
    return torch.from_numpy(distances[distances < cutoff])
