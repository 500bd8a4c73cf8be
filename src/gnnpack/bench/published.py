"""Figures others have published; nothing on this page was measured here."""

from __future__ import annotations

from typing import Any

from gnnpack.experiments.published import HELAL, SCALING_SOURCE, STRONG_SCALING, Published

__all__ = ["BLOCKS", "HELAL", "TRAINING", "Published", "published_figures"]

TRAINING = Published(
    "Published, not measured here: SchNet 100/4/25/6 Å in training, molecules/s",
    SCALING_SOURCE,
    {
        what: {
            f"{ipus} IPU{'s' * (ipus > 1)}": STRONG_SCALING[what][ipus]
            for ipus in (1, 16, 32, 64)
            if ipus in STRONG_SCALING[what]
        }
        for what in (
            "QM9, packed",
            "QM9, padded",
            "QM9, no host input",
            "HydroNet 2.7M, packed",
            "HydroNet 2.7M, padded",
        )
    },
)
BLOCKS = Published(
    "Published, not measured here: one SchNet block forward, µs",
    f"experiments/a100/schnet_block.csv and experiments/bow/schnet_block.csv of {HELAL}; 50 "
    "Gaussians, edges at random and given; A100: PyTorch 1.13, launched from Python; Bow IPU: a "
    "loop on the device",
    {
        "256 atoms, 128 channels, 4,096 edges": {"A100": 380, "Bow IPU": 88},
        "4,096 atoms, 128 channels, 32,768 edges": {"A100": 687, "Bow IPU": 255},
        "4,096 atoms, 512 channels, 32,768 edges": {"A100": 2_383, "Bow IPU": 924},
    },
)


def published_figures() -> list[dict[str, Any]]:
    """All tables, for JSON."""
    return [TRAINING.as_dict(), BLOCKS.as_dict()]
