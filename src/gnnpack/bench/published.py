"""Figures others have published; nothing on this page was measured here."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

# The code of Helal et al., arXiv 2211.13853, and the results that lie beside it.
HELAL = "https://github.com/graphcore-research/hydronet-gnn (the code of arXiv 2211.13853)"


class Published(NamedTuple):
    """One table of somebody else's machines; a cell is text, empty where nothing is published.

    ``source`` is a sentence with the address and the file of the figures, and how they were taken.
    """

    title: str
    source: str
    rows: Mapping[str, Mapping[str, int]]  # what -> machine -> figure

    def columns(self) -> list[str]:
        """Every machine of any row, in order."""
        return list(dict.fromkeys(machine for row in self.rows.values() for machine in row))

    def as_dict(self) -> dict[str, Any]:
        """For JSON and tables: headings, and cells row by row."""
        columns = self.columns()
        return {
            "title": self.title,
            "source": self.source,
            "columns": ["", *columns],
            "rows": [
                [what, *(f"{row[name]:,}" if name in row else "" for name in columns)]
                for what, row in self.rows.items()
            ],
        }


TRAINING = Published(
    "Published, not measured here: SchNet 100/4/25/6 Å in training, molecules/s",
    f"experiments/strong_scaling.ipynb of {HELAL}; Bow IPUs, molecules of an epoch over its mean "
    "time",
    {
        "QM9, packed": {
            "1 IPU": 25_727,
            "16 IPUs": 141_606,
            "32 IPUs": 149_206,
            "64 IPUs": 113_161,
        },
        "QM9, padded": {"1 IPU": 14_283, "16 IPUs": 95_077, "32 IPUs": 90_338, "64 IPUs": 65_075},
        "QM9, no host input": {
            "1 IPU": 28_880,
            "16 IPUs": 419_115,
            "32 IPUs": 753_117,
            "64 IPUs": 1_135_514,
        },
        "HydroNet 2.7M, packed": {"16 IPUs": 100_279, "32 IPUs": 144_692, "64 IPUs": 182_478},
        "HydroNet 2.7M, padded": {"16 IPUs": 79_976, "32 IPUs": 123_691, "64 IPUs": 138_459},
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
