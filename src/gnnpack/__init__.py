"""Train SchNet-like networks on packs: fixed-shape batches filled with whole molecules."""

__version__ = "0.1.0"
