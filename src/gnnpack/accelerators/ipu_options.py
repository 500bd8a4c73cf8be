"""The accelerator options ``ipu`` and ``ipu_emulator``."""

from __future__ import annotations

from typing import Any

from gnnpack.accelerators.ipu import IPUStrategy
from gnnpack.accelerators.ipu_settings import IPUSettings
from gnnpack.accelerators.poptorch_door import load_poptorch


def train_on_ipu(**settings: Any) -> dict[str, Any]:
    """Train on Graphcore IPUs; ``settings`` are those of `IPUSettings`.

    Raises:
        ValueError: PopTorch is not here, or a setting is wrong.
    """
    return _arguments(IPUSettings(**settings), emulated=False)


def train_on_ipu_emulator(**settings: Any) -> dict[str, Any]:
    """Train as IPUs would, on this computer: what they refuse is refused, speed is not theirs."""
    return _arguments(IPUSettings(**settings), emulated=True)


def _arguments(settings: IPUSettings, *, emulated: bool) -> dict[str, Any]:
    strategy = IPUStrategy(settings, load_poptorch(emulated), emulated=emulated)
    # The strategy brings its accelerator and precision along; Lightning wants them said once.
    return {
        "accelerator": "auto",
        "devices": 1,
        "num_nodes": 1,
        "strategy": strategy,
        "use_distributed_sampler": False,
    }
