"""Errors over the real molecules of a whole split, in physical units."""

from __future__ import annotations

from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection

from gnnpack.batching import PackBatch


def error_metrics(prefix: str) -> MetricCollection:
    """``<prefix>mae`` and ``<prefix>rmse``; update with the two results of `real_values`."""
    return MetricCollection(
        {"mae": MeanAbsoluteError(), "rmse": MeanSquaredError(squared=False)}, prefix=prefix
    )


def real_values(prediction: Tensor, batch: PackBatch) -> tuple[Tensor, Tensor]:
    """Predictions and targets of the real molecules, both (m,), in the order of the packs."""
    return prediction[batch.molecule_mask], batch.target[batch.molecule_mask]
