"""How fast a GPU learns: the validation error of U0 over the seconds of one run."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any, Mapping

import pytorch_lightning as pl

from gnnpack.bench.gpu_epochs import (
    KEPT,
    QM9_TRAIN,
    SYNTHETIC_TRAIN,
    common_overrides,
    run_folder,
)
from gnnpack.bench.gpu_settings import EpochCase, GPUSettings, Train

PRECISION = "tf32"
ITERATIONS = 16
VALIDATIONS = 17
CURVE = "mae_over_time.jsonl"
# Validations and what lies between epochs take a part of the time.
SHARE_OF_TRAINING = 0.85
WATCH = "gnnpack.bench.gpu_learning.WatchMAE"


class WatchMAE(pl.Callback):
    """Write each validation's error with the seconds since training began.

    Args:
        dirpath: as a run gives it to its callbacks, a folder in the run's own.
    """

    def __init__(self, dirpath: Path) -> None:
        self.path = Path(dirpath).parent / CURVE
        self._begun = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to count; making models, plans and stores is over."""
        self._begun = time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add a line."""
        row = {
            "seconds": time.perf_counter() - self._begun,
            "updates": trainer.global_step,
            "val_mae": float(trainer.callback_metrics["val/mae"]),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def measure_learning(
    settings: GPUSettings, earlier: Mapping[str, Any], train: Train
) -> dict[str, Any]:
    """One run with TF32, moving average and one cycle, planned to last ``learning_seconds``.

    The number of epochs follows from the rate that an earlier step measured at this batch size;
    the schedule has to know it beforehand.
    """
    sizes = settings.sizes
    num_train = QM9_TRAIN if settings.dataset == "qm9" else SYNTHETIC_TRAIN
    rate = _rate(settings, earlier)
    epochs = max(3, math.floor(SHARE_OF_TRAINING * sizes.learning_seconds * rate / num_train))
    if settings.device == "cpu":
        epochs = 3
    every = max(1, math.ceil(epochs / VALIDATIONS))
    overrides = [
        *common_overrides(settings, PRECISION),
        f"batch_size={sizes.learning_batch}",
        f"accelerator.device_iterations={ITERATIONS if settings.device == 'cuda' else 2}",
        "objective=mae",
        "schedule=one_cycle",
        "callbacks=ema",
        f"+callbacks.watch_mae={{_target_: {WATCH}, _partial_: true}}",
        f"trainer.max_epochs={epochs}",
        f"trainer.check_val_every_n_epoch={every}",
        "trainer.log_every_n_steps=1000",
    ]
    folder = run_folder(settings, "learning")
    summary = train(overrides, str(folder))
    lines = (folder / CURVE).read_text(encoding="utf-8").splitlines()
    return {
        "overrides": overrides,
        "unit": summary["unit"],
        "test_mae": summary["test_mae"],
        "val_mae": summary["val_mae"],
        "curve": [json.loads(line) for line in lines],
        **{key: summary.get(key) for key in KEPT},
    }


def _rate(settings: GPUSettings, earlier: Mapping[str, Any]) -> float:
    """Molecules a second at the batch size that learns."""
    rates = []
    for case in settings.sizes.epochs:
        result = earlier.get(epochs_name(case))
        if case.batch_size == settings.sizes.learning_batch and result is not None:
            rates.append(result["train_molecules_per_second"] or 0.0)
    if not any(rates):
        raise ValueError(
            f"No epochs of batch {settings.sizes.learning_batch} were measured before, so the "
            "run's length cannot be planned. Run the benchmark again."
        )
    return max(rates)


def epochs_name(case: EpochCase) -> str:
    """The step's name."""
    return f"epochs batch {case.batch_size} K {case.iterations} {case.precision}"
