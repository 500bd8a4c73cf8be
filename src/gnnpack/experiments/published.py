"""Figures published with the code of arXiv 2211.13853; nothing on this page was measured here."""

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


# --- one measure after another ---

ABLATION_SOURCE = f"experiments/perf_ablation.ipynb of {HELAL}; 16 Bow IPUs, cumulative"
# Step -> molecules/s. The data sets, in the paper's names: QM9, HydroNet's three sizes.
ABLATION: Mapping[str, Mapping[str, float]] = {
    "QM9": {
        "padding": 68_905.297526,
        "packing": 83_879.492194,
        "asynchronous loader": 97_915.071645,
        "device optimisations": 131_556.026677,
        "prefetch depth 4": 123_878.645413,
    },
    "HydroNet 500k": {
        "padding": 52_188.339009,
        "packing": 56_980.196606,
        "asynchronous loader": 57_654.406257,
        "device optimisations": 65_611.567506,
        "prefetch depth 4": 62_217.103695,
    },
    "HydroNet 2.7M": {
        "padding": 71_407.702781,
        "packing": 84_509.342379,
        "asynchronous loader": 82_802.834270,
        "device optimisations": 96_739.241664,
        "prefetch depth 4": 98_090.596491,
    },
    "HydroNet 4.5M": {
        "padding": 67_046.099069,
        "packing": 78_189.339469,
        "asynchronous loader": 80_949.642682,
        "device optimisations": 91_427.736134,
        "prefetch depth 4": 93_877.867535,
    },
}

# --- more and more devices ---

SCALING_SOURCE = (
    f"experiments/strong_scaling.ipynb of {HELAL}; Bow IPUs, molecules of an epoch over its mean "
    "time"
)
# Data -> IPUs -> molecules/s.
STRONG_SCALING: Mapping[str, Mapping[int, int]] = {
    "QM9, packed": {
        1: 25_727,
        2: 45_344,
        4: 74_985,
        8: 113_631,
        16: 141_606,
        32: 149_206,
        64: 113_161,
    },
    "QM9, padded": {
        1: 14_283,
        2: 26_462,
        4: 45_962,
        8: 68_262,
        16: 95_077,
        32: 90_338,
        64: 65_075,
    },
    "QM9, no host input": {
        1: 28_880,
        2: 57_107,
        4: 111_900,
        8: 219_431,
        16: 419_115,
        32: 753_117,
        64: 1_135_514,
    },
    "HydroNet 500k, packed": {8: 44_618, 16: 66_447, 32: 81_734, 64: 90_144},
    "HydroNet 500k, padded": {8: 37_049, 16: 56_610, 32: 73_197, 64: 87_538},
    "HydroNet 500k, no host input": {8: 78_362, 16: 156_302, 32: 310_626, 64: 612_979},
    "HydroNet 2.7M, packed": {8: 61_093, 16: 100_279, 32: 144_692, 64: 182_478},
    "HydroNet 2.7M, padded": {8: 47_164, 16: 79_976, 32: 123_691, 64: 138_459},
    # Its notebook loads the runs with a synchronous loader for what it calls packed.
    "HydroNet 4.5M, packed": {8: 53_617, 16: 88_087, 32: 129_675, 64: 154_714},
    "HydroNet 4.5M, padded": {8: 49_959, 16: 87_682, 32: 136_613, 64: 165_486},
}

# --- wider and deeper networks ---

MODEL_SIZE_SOURCE = (
    f"experiments/model_architechture.ipynb of {HELAL}; 16 Bow IPUs, mean seconds of an epoch of "
    "QM9"
)
# (features, interaction blocks) -> seconds.
MODEL_SIZE: Mapping[tuple[int, int], float] = {
    (64, 2): 1.22,
    (64, 4): 1.22,
    (64, 6): 1.54,
    (128, 2): 1.28,
    (128, 4): 1.26,
    (128, 6): 1.54,
    (256, 2): 1.26,
    (256, 4): 1.52,
    (256, 6): 1.87,
    (512, 2): 1.55,
    (512, 4): 2.15,
    (512, 6): 2.81,
}


def over_the_first(figures: Mapping[str, float]) -> dict[str, float]:
    """Each figure over the first one.

    >>> over_the_first({"padding": 2.0, "packing": 3.0})
    {'padding': 1.0, 'packing': 1.5}
    """
    base = next(iter(figures.values()))
    return {name: value / base for name, value in figures.items()}
