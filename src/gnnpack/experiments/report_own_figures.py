"""The figures a run drew of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from gnnpack.experiments.report_section import Section

if TYPE_CHECKING:
    from gnnpack.experiments.run_folder import RunFacts

CAPTIONS = {
    "predicted_against_true": "Predicted against true values of the test split",
    "loss": "Training loss and validation error",
    "pack_fill": "How full the packs of training are",
}


def own_figures(runs: Sequence[RunFacts]) -> Section | None:
    """predicted_against_true.png and others of one run alone; None of several, or without any."""
    if len(runs) != 1:
        return None
    folder = runs[0].folder / "figures"
    files = [(caption, folder / f"{name}.png") for name, caption in CAPTIONS.items()]
    images = [(caption, file) for caption, file in files if file.is_file()]
    return Section("The run's own figures", images=images) if images else None
