"""Rates by batch size, and the error over the seconds of a run, as a PNG file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping

from gnnpack.bench.gpu_goals import epoch_results
from gnnpack.bench.gpu_steps import LEARNING
from gnnpack.tracking.figures import BLUE, GREY, ORANGE, figure

SHADES = {"float32": GREY, "tf32": BLUE, "bf16": ORANGE}
LINES = {1: ":", 8: "--"}  # by updates a call


def gpu_figure(results: Mapping[str, Any], path: Path) -> bool:
    """Draw what is known of epochs and of the learning run; False where neither is.

    OSError names the path and the cure.
    """
    rates = {
        case: result["train_molecules_per_second"]
        for case, result in sorted(epoch_results(results).items())
        if result["train_molecules_per_second"]
    }
    learning = results.get(LEARNING, {"curve": [], "unit": ""})
    if not rates and not learning["curve"]:
        return False
    with figure(path, 10.0, 4.0) as drawing:
        left, right = drawing.subplots(1, 2)
        for iterations, precision in sorted({case[1:] for case in rates}):
            batches = [case[0] for case in rates if case[1:] == (iterations, precision)]
            left.plot(
                batches,
                [rates[batch, iterations, precision] for batch in batches],
                marker="o",
                color=SHADES[precision],
                linestyle=LINES.get(iterations, "-"),
                label=f"{precision}, {iterations} a call",
            )
        left.set(xscale="log", yscale="log", xlabel="batch size", ylabel="molecules/s")
        left.set(title="Training epochs")
        sizes = sorted({case[0] for case in rates})
        # The powers of ten between them would be written over each other.
        left.set_xticks(sizes, [f"{size:,}" for size in sizes])
        left.set_xticks([], minor=True)
        if rates:
            left.legend(fontsize=7)
        curve = learning["curve"]
        right.plot([one["seconds"] for one in curve], [one["val_mae"] for one in curve], color=BLUE)
        right.set(title="Learning", xlabel="seconds", ylabel=f"validation MAE ({learning['unit']})")
    return True
