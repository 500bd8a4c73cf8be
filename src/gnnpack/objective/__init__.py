"""Prediction + `PackBatch` -> loss and metrics; the one masked mean."""

from gnnpack.objective.losses import MAE, MSE, Huber, Objective
from gnnpack.objective.metrics import error_metrics, real_values

__all__ = ["MAE", "MSE", "Huber", "Objective", "error_metrics", "real_values"]
